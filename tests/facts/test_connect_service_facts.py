"""Recorded output of systemd and the kernel about connect.service, read as facts."""

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import connect_service


@pytest.fixture
def facts(recorded):
    return connect_service.parse(recorded("connect_service"))


def test_directives_by_the_unit_files_names(facts):
    assert facts.directive("RestartSec") == "5s"
    assert facts.directive("EnvironmentFile") == "/opt/connect/shared/config/.env.production"
    assert facts.directive("ProtectHome") == "tmpfs"


def test_commands(facts):
    assert facts.commands("ExecStart") == ("/usr/local/bin/pm2 resurrect",)


def test_a_command_that_was_added_to_another(recorded):
    line = "ExecStop={ path=/bin/true ; argv[]=/bin/true x ; ignore_errors=no ; pid=0 }\n"
    text = recorded("connect_service")["unit"].stdout + line
    facts = connect_service.parse(recorded("connect_service", unit=text))
    assert facts.commands("ExecStop") == ("/usr/local/bin/pm2 kill", "/bin/true x")


def test_the_kernels_word(facts):
    assert facts.limits["Max open files"] == "20000"
    assert facts.status["NoNewPrivs"] == "1"
    assert facts.mounts["/"].startswith("ro,")
    assert "PM2_HOME=/home/connect/.pm2" in facts.environment


def test_a_directive_that_systemd_does_not_know(facts):
    with pytest.raises(ObservationError, match="Nonsense"):
        facts.directive("Nonsense")


def test_a_unit_that_is_not_there(recorded):
    with pytest.raises(ObservationError, match="not-found"):
        connect_service.parse(recorded("connect_service", unit="LoadState=not-found\n"))
