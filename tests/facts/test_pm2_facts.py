"""Recorded output of PM2, read as facts."""

import json

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import pm2


def test_the_processes_of_the_application(recorded):
    facts = pm2.parse(recorded("pm2"))
    assert len(facts.connect) == facts.cores == 2
    first = facts.connect[0]
    assert first.parent == facts.daemon
    assert first.settings["exec_mode"] == "cluster_mode"
    assert first.settings["pm_exec_path"] == "/opt/connect/current/server.js"
    assert first.cwd == facts.current
    assert first.memory > 10_000_000
    assert first.environment["PORT"].shown == "0"
    assert facts.version.split(".")[0] == "7"
    assert facts.socket == "socket connect 660"


def test_a_switch_that_is_not_listed_is_off(recorded):
    seen = json.loads(recorded("pm2")["processes"].stdout)
    for process in seen["processes"]:
        process["settings"] |= {"merge_logs": None, "wait_ready": None, "exec_mode": None}
    settings = pm2.parse(recorded("pm2", processes=json.dumps(seen))).connect[0].settings
    assert (settings["merge_logs"], settings["wait_ready"]) == (False, False)
    assert settings["exec_mode"] is None


def test_settings_as_text():
    assert pm2.shown(["--max-old-space-size=2048"]) == "--max-old-space-size=2048"
    assert (pm2.shown(True), pm2.shown(10000), pm2.shown("connect")) == ("true", "10000", "connect")


def test_another_application_is_not_ours(recorded):
    seen = json.loads(recorded("pm2")["processes"].stdout)
    for process in seen["processes"]:
        process["settings"]["name"] = "health-check"
    facts = pm2.parse(recorded("pm2", processes=json.dumps(seen)))
    with pytest.raises(ObservationError, match="health-check"):
        _ = facts.connect


def test_no_daemon_is_an_error(recorded):
    with pytest.raises(ObservationError, match="pm2 jlist"):
        pm2.parse(recorded("pm2", processes=""))
