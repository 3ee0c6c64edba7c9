"""What runs on the host: bounded in time, all at once, and it tells no secret."""

import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from connect_infra.facts import collector


def collect(commands, secrets=None):
    found = collector.main({"commands": {"m": commands}, "secrets": secrets or {}})
    return found["m"]


def test_codes_and_both_outputs_come_by_label():
    found = collect({"a": "echo out; echo err >&2; exit 3", "b": "true"})
    assert found == {
        "a": {"code": 3, "stdout": "out\n", "stderr": "err\n"},
        "b": {"code": 0, "stdout": "", "stderr": ""},
    }


def test_a_module_without_commands_is_answered_too():
    assert collector.main({"commands": {"m": {}}, "secrets": {}}) == {"m": {}}


def test_a_missing_tool_is_an_answer():
    found = collect({"a": "no-such-tool --version"})["a"]
    assert found["code"] == 127
    assert "no-such-tool" in found["stderr"]


def test_secrets_are_in_the_environment_and_never_in_the_answer():
    found = collect({"a": 'echo "[$PASS]"; echo "$PASS" >&2'}, {"PASS": "hunter2"})["a"]
    assert found["stdout"] == "[«secret PASS»]\n"
    assert found["stderr"] == "«secret PASS»\n"


def test_a_secret_that_holds_another_is_hidden_whole():
    secrets = {"SHORT": "abc", "LONG": "abcdef", "EMPTY": ""}
    found = collect({"a": "echo abcdef abc"}, secrets)["a"]
    assert found["stdout"] == "«secret LONG» «secret SHORT»\n"


@pytest.mark.parametrize("tool", ["json.dumps(v)", "json.dumps(v).replace('/', '\\\\/')"])
def test_a_secret_is_hidden_as_json_spells_it(tool):
    script = f"""python3 -c "import json,os; v = os.environ['URL']; print({tool})" """
    found = collect({"a": script}, {"URL": 'https://a"b\\c@host/1'})["a"]
    assert found["stdout"] == '"«secret URL»"\n'


def test_junk_is_shown_as_escapes():
    assert collect({"a": r"printf 'a\377'"})["a"]["stdout"] == "a\\xff"


def test_the_language_is_the_same_on_every_host(monkeypatch):
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    assert collect({"a": "echo $LC_ALL; pwd"})["a"]["stdout"] == "C.UTF-8\n/\n"


def test_commands_run_at_the_same_time():
    started = time.monotonic()
    collect({str(number): "sleep 0.3" for number in range(4)})
    assert time.monotonic() - started < 1.0


def sleeping(mark):
    """The processes of this machine that hold `mark` in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):  # ended in the meantime
            if mark.encode() in path.read_bytes():
                found.append(path)
    return found


def test_sleeping_sees_a_process_that_sleeps():
    with subprocess.Popen(["sleep", "29.75"]) as process:
        try:
            assert len(sleeping("29.75")) == 1
        finally:
            process.kill()


def test_a_command_that_hangs_is_ended_with_all_it_started(monkeypatch):
    monkeypatch.setattr(collector, "LIMIT", 1.0)
    mark = f"31.{time.time_ns()}"
    found = collect({"a": f"echo begun; sleep {mark} & sleep {mark}"})["a"]
    assert found == {"code": 124, "stdout": "begun\n", "stderr": "no end within 1.0 s"}
    assert sleeping(mark) == []


def test_a_command_that_leaves_something_behind_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(collector, "LIMIT", 0.3)
    started = time.monotonic()
    found = collect({"a": "setsid sleep 3 & echo done"})["a"]
    assert time.monotonic() - started < 2
    assert (found["code"], found["stdout"]) == (124, "done\n")


def test_input_is_empty():
    assert collect({"a": "cat; echo end"})["a"]["stdout"] == "end\n"


def test_all_of_it_has_one_time_limit(monkeypatch):
    monkeypatch.setattr(collector, "BUDGET", 0.3)
    commands = {str(number): "sleep 5" for number in range(6)}
    started = time.monotonic()
    found = collect(commands)
    assert time.monotonic() - started < 2
    assert {answer["code"] for answer in found.values()} == {124}
    assert found["0"]["stderr"] == "no end within 0.3 s"
    assert found["5"]["stderr"].startswith("not begun")
