"""Recorded output of a host's own tools, read as facts."""

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import host
from connect_infra.facts.base import Output


def test_the_machine(recorded):
    facts = host.parse(recorded("host"))
    assert facts.os["ID"] == "debian"
    assert facts.architecture == "x86_64"
    assert facts.threads == facts.cores == 2
    assert facts.memory == 24684092 * 1024
    assert {disk.name for disk in facts.disks} >= {"vda"}


def test_who_listens_where(recorded):
    (listener,) = host.parse(recorded("host")).listeners(6432)
    assert listener.address == "127.0.0.1"
    assert [name for name, _ in listener.processes] == ["pgbouncer"]


def test_a_provided_package_counts_and_one_not_installed_does_not(recorded):
    packages = host.parse(recorded("host")).packages
    assert packages["postgresql-contrib-15"] == packages["postgresql-15"]
    assert "ufw" not in packages


def test_a_package_that_was_removed_is_not_installed(recorded):
    text = "pgbouncer config-files 1.18.0 \nredis-server installed 7.0 \n"
    facts = host.parse(recorded("host", packages=text))
    assert facts.packages == {"redis-server": "7.0"}


def test_a_tool_that_is_missing_is_an_error(recorded):
    missing = Output(127, "", "sh: 1: ss: not found")
    with pytest.raises(ObservationError, match="ss: not found"):
        host.parse({**recorded("host"), "listening": missing})
