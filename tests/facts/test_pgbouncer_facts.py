"""Recorded output of PgBouncer's console, read as facts."""

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import pgbouncer
from connect_infra.facts.base import Output


def test_the_running_parameters(recorded):
    facts = pgbouncer.parse(recorded("pgbouncer"))
    assert facts.config["pool_mode"].value == "transaction"
    assert facts.config["listen_port"].changeable is False
    assert facts.version.startswith("PgBouncer 1.")


def test_a_database_reads_as_its_line_in_the_file(recorded):
    facts = pgbouncer.parse(recorded("pgbouncer"))
    line = "host=localhost port=5432 dbname=connect user=connect"
    assert facts.database_line("connect") == line
    assert facts.file["databases"]["connect"] == line
    assert facts.database_line("other") == ""


def test_the_file_keeps_the_last_line_of_a_key():
    assert pgbouncer.read_file("[pgbouncer]\na = 1\n; b = 3\na = 2\n") == {"pgbouncer": {"a": "2"}}


def test_a_password_in_the_file_is_hidden():
    text = "[databases]\nconnect = host=localhost password=s3cret user=connect\n"
    line = pgbouncer.read_file(text)["databases"]["connect"]
    assert line == "host=localhost password=(hidden) user=connect"


def test_a_console_that_refuses_the_login_is_an_error(recorded):
    refused = Output(2, "@@CONFIG\n", "FATAL: password authentication failed")
    with pytest.raises(ObservationError, match="password authentication failed"):
        pgbouncer.parse({**recorded("pgbouncer"), "console": refused})


def test_a_table_that_is_cut_off_is_an_error(recorded):
    text = recorded("pgbouncer")["console"].stdout.partition("@@POOLS")[0]
    with pytest.raises(ObservationError, match="the tables CONFIG, DATABASES, POOLS, VERSION"):
        pgbouncer.parse(recorded("pgbouncer", console=text))
