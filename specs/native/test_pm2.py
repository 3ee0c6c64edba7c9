"""Architecture v2.0, 3.4: PM2's settings, as its daemon and the processes have them."""

import os

import pytest

from connect_infra.facts.env import mask
from connect_infra.facts.pm2 import MISSING, shown

RENAMED = {"out_file": "pm_out_log_path", "error_file": "pm_err_log_path"}
SEEN_OTHERWISE = {"script", "instances"}


def is_variable(control):
    return control.key.startswith("env.")


def is_secret(control):
    return is_variable(control) and control.type == "secret"


def is_setting(control):
    return not is_variable(control) and control.key not in SEEN_OTHERWISE


@pytest.mark.controls(component="pm2", where=is_setting)
def test_every_process_runs_with(control, facts, found):
    name = RENAMED.get(control.key, control.key)
    for process in facts.pm2.connect:
        assert control.parse(found(shown(process.settings[name]))) == control.value


@pytest.mark.controls(component="pm2", where=lambda control: not is_variable(control))
def test_the_file_would_bring_the_same_value_again(control, facts, found):
    settings = facts.pm2.file.settings
    assert control.key in settings, "the ecosystem file does not set it"
    text = found(shown(settings[control.key]))
    assert control.parse(text) == control.value, "the ecosystem file has another value"


@pytest.mark.controls(component="pm2", where=is_variable)
def test_the_file_would_bring_the_same_variable_again(control, facts, found):
    variable = facts.pm2.file.environment.get(control.key.removeprefix("env."))
    assert variable is not None, "the ecosystem file does not set it"
    if control.control.type == "secret":
        assert found(variable.verdict) == "set", "the files have another value"
    else:
        assert control.parse(found(variable.shown)) == control.value, "the files have another value"


@pytest.mark.controls("pm2.script")
def test_every_process_runs_the_current_releases_script(control, facts, found):
    for process in facts.pm2.connect:
        script, home = process.settings["pm_exec_path"], process.settings["pm_cwd"]
        assert found(f"./{os.path.relpath(script, home)}") == control.expected
        assert process.cwd == facts.pm2.current, "it runs another release than the current one"


@pytest.mark.controls("pm2.instances")
def test_there_is_a_process_a_processor(control, facts, found):
    assert control.expected == "max"
    assert found(len(facts.pm2.connect)) == facts.host.threads


@pytest.mark.controls("pm2.exec_mode", "pm2.autorestart", "pm2.wait_ready")
def test_every_process_is_ready_and_stable(control, facts, found):
    for process in facts.pm2.connect:
        state = process.settings["status"], process.settings["unstable_restarts"]
        assert found(state) == ("online", 0)


@pytest.mark.controls(component="pm2", where=is_variable)
def test_every_process_has_the_variable(control, facts, found):
    name = control.key.removeprefix("env.")
    for process in facts.pm2.connect:
        assert name in process.environment, "it is not in the environment"
        variable = process.environment[name]
        if control.control.type == "secret":
            assert found(variable.verdict) == "set"
        else:
            assert control.parse(found(variable.shown)) == control.value


@pytest.mark.controls("pm2.env.DATABASE_URL", "pm2.env.REDIS_CACHE_URL", "pm2.env.REDIS_QUEUE_URL")
def test_every_process_goes_to_the_documented_place(control, facts, found):
    for process in facts.pm2.connect:
        variable = process.environment[control.key.removeprefix("env.")]
        assert found(variable.shown) == mask(control.expected)


@pytest.mark.controls("pm2.env.SOCKET_PATH")
def test_the_socket_is_the_applications(control, facts, found):
    assert found(facts.pm2.socket) != MISSING, "there is no /run/connect.sock"
    kind, owner, mode = facts.pm2.socket.split()
    assert (kind, owner) == ("socket", "connect")
    assert int(mode, 8) & 0o006 == 0, "everybody on the host may connect to it"


@pytest.mark.controls("pm2.max_memory_restart")
def test_no_process_is_near_its_limit(control, facts, found):
    most = found(max(process.memory for process in facts.pm2.connect))
    assert most < control.value, "a process takes more than its share"


@pytest.mark.controls("pm2.out_file", "pm2.error_file")
def test_the_log_is_there_and_the_applications(control, as_root, found):
    assert found(as_root(f"stat -c %U {control.expected}")) == "connect"


@pytest.mark.intrusive
@pytest.mark.controls("pm2.autorestart", "pm2.restart_delay")
def test_a_killed_process_is_replaced(control, as_root, eventually, found):
    pattern = "'^node /opt/connect/current/server.js'"
    victim = as_root(f"pgrep -of {pattern}")
    running = f"pgrep -cf {pattern} || true"
    before = as_root(running)
    as_root(f"kill -KILL {victim}")
    gone = f"test ! -d /proc/{victim} && echo gone || true"
    assert eventually(lambda: as_root(gone) == "gone")
    assert eventually(lambda: as_root(running) == before), "it is not replaced"
    found(as_root(running))
