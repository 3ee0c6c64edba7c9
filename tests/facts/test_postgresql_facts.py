"""Recorded output of psql, read as facts."""

import json

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import postgresql
from connect_infra.facts.base import Output


def changed(recorded, **changes):
    data = json.loads(recorded("postgresql")["server"].stdout)
    return recorded("postgresql", server=json.dumps({**data, **changes}))


def test_a_setting_as_the_server_shows_it(recorded):
    setting = postgresql.parse(recorded("postgresql")).settings["checkpoint_timeout"]
    assert setting.value == "15min"
    assert setting.sourcefile.startswith("/etc/postgresql/15/main/")
    assert not setting.pending_restart


def test_the_last_line_would_win(recorded):
    def line(setting, applied, error=None):
        place = {"sourcefile": "f", "sourceline": 1, "name": "shared_buffers"}
        return place | {"setting": setting, "applied": applied, "error": error}

    waiting = line("9MB", False, "setting could not be applied")
    facts = postgresql.parse(changed(recorded, file_settings=[line("1MB", True), waiting]))
    assert facts.on_disk("shared_buffers").setting == "9MB"
    assert facts.on_disk("work_mem") is None


@pytest.mark.parametrize(
    ("name", "text", "meant"),
    [
        ("work_mem", "4096", "4096kB"),
        ("work_mem", "4MB", "4MB"),
        ("shared_buffers", "16384", "131072kB"),
        ("checkpoint_timeout", "900", "900s"),
        ("max_connections", "0xC8", "200"),
        ("max_connections", "0310", "200"),
        ("random_page_cost", "1.10", "1.10"),
        ("wal_level", "replica", "replica"),
        ("archive_command", "1", "1"),
    ],
)
def test_a_bare_number_counts_in_the_setting_s_own_unit(recorded, name, text, meant):
    assert postgresql.parse(recorded("postgresql")).meant(name, text) == meant


def test_an_override_is_kept_with_whom_it_is_for(recorded):
    override = {"database": "connect", "role": "", "setting": "work_mem=1=2"}
    facts = postgresql.parse(changed(recorded, overrides=[override]))
    assert facts.overridden("work_mem")[0].value == "1=2"
    assert facts.overridden("work_mem")[0].database == "connect"
    assert facts.overridden("max_connections") == ()


def test_the_role_and_the_rules(recorded):
    facts = postgresql.parse(recorded("postgresql"))
    assert facts.roles["connect"].password == "scram-sha-256"
    assert facts.databases["connect"] == "connect"
    assert {rule.type for rule in facts.hba} == {"local", "host"}
    assert facts.archiver.waiting is None


def test_a_server_that_is_down_is_named(recorded):
    outputs = {"server": Output(2, "", "psql: error: connection to server on socket failed")}
    with pytest.raises(ObservationError, match="connection to server on socket failed"):
        postgresql.parse(outputs)
