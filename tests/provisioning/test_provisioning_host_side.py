"""The host's half, run here for real on a private directory: files, notes, the lease."""

import base64
import errno
import json
import os
import re
import stat
import time

import pytest

from provisioning.apply import Lease, is_dead, machine, process_start
from provisioning.host_side import change
from provisioning.host_side import home as places
from provisioning.host_side.effect import telling
from provisioning.host_side.looks import look_path
from provisioning.host_side.main import main
from provisioning.host_side.memory import notes

ME = {"mode": 0o640, "owner": "root", "group": "root"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("PENDING", "KEPT", "STAGED", "LOCK"):
        monkeypatch.setattr(places, name, str(tmp_path / "home" / name.lower()))
    monkeypatch.setattr(places, "HOME", str(tmp_path / "home"))
    places.make_home()
    return tmp_path


def request(path, content=b"new\n", **changes):
    resource = {"kind": "file", "path": str(path), "content": base64.b64encode(content).decode()}
    name = f"file {path}"
    return {
        "do": "change",
        "name": "x",
        "resources": {name: resource | ME},
        "changed": [name],
        "paths": [str(path)],
        "action": "",
        "validate": None,
        "verify": None,
        "activation": None,
        "way_in": None,
        "lease": Lease.new().encode(),
    } | changes


def test_a_file_is_written_with_its_mode_and_nothing_is_left_beside(home):
    path = home / "file"
    assert main(request(path)) == {"done": True}
    assert path.read_bytes() == b"new\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [name for name in os.listdir(home) if name.startswith(".")] == []
    assert os.listdir(places.PENDING) == []


def test_a_file_that_its_checker_refuses_never_gets_into_place(home):
    path = home / "file"
    path.write_text("old\n")
    check = f'grep -q old "$STAGE{path}" || {{ echo "line 1: bad"; exit 1; }}'
    answer = main(request(path, validate=check))
    assert answer["failed"]["message"] == "line 1: bad"
    assert answer["failed"]["state"] == "what was there before is in use again"
    assert path.read_text() == "old\n"
    assert notes() == {}
    assert os.listdir(places.STAGED) == []


def test_a_service_that_does_not_work_gets_its_old_file_back(home):
    path = home / "file"
    path.write_text("old\n")
    os.chmod(path, 0o600)
    answer = main(request(path, verify=f"grep -q old {path} || {{ echo down; exit 1; }}"))
    assert answer["failed"]["message"] == "down"
    assert path.read_text() == "old\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert notes() == {}


def test_a_file_that_was_not_there_is_gone_again_after_a_failure(home):
    path = home / "file"
    assert "failed" in main(request(path, verify="exit 3"))
    assert not path.exists()


class Killed(BaseException):
    """Stands for kill -9: nothing of ours handles it."""


def killed(*_):
    raise Killed


@pytest.mark.parametrize("at", ["stage_and_validate", "put_in_place", "take_effect", "finish"])
def test_killed_anywhere_the_next_apply_finishes(home, monkeypatch, at):
    path = home / "file"
    path.write_text("old\n")
    with monkeypatch.context() as patch:
        patch.setattr(change, at, killed)
        with pytest.raises(Killed):
            change.change(request(path))
    assert notes() == {"x": {"paths": [str(path)], "action": ""}}
    change.change(request(path))
    assert path.read_text() == "new\n"
    assert notes() == {}


def test_after_a_kill_the_file_to_go_back_to_is_the_one_that_was_in_use(home, monkeypatch):
    path = home / "file"
    path.write_text("in use\n")
    with monkeypatch.context() as patch:
        patch.setattr(change, "take_effect", killed)
        with pytest.raises(Killed):
            change.change(request(path, b"half done\n"))
    assert path.read_text() == "half done\n"
    refused = main(request(path, b"third\n", verify="exit 1"))
    assert "failed" in refused
    assert path.read_text() == "in use\n"


def test_a_torn_note_still_says_that_something_was_under_way(home):
    with open(os.path.join(places.PENDING, "x"), "w") as handle:
        handle.write('{"paths": [')
    assert notes() == {"x": {"paths": [], "action": "restart"}}


def test_a_full_disk_is_named_with_what_is_left_on_it(home):
    said = places.in_words(OSError(errno.ENOSPC, "", str(home / "none" / "file")))
    assert re.fullmatch(rf"no space left for {home}/none/file \(\d+ kB .*\); .*", said)


def test_a_directory_in_the_place_of_a_file_is_not_removed(home):
    path = home / "file"
    path.mkdir()
    answer = main(request(path))
    assert "neither a file nor a link" in answer["failed"]["message"]
    assert path.is_dir()


def test_a_command_that_changes_nothing_is_a_failure(home):
    ensure = {"kind": "ensure", "name": "role", "check": "exit 1", "do": "true", "secrets": {}}
    changes = {"resources": {"e": ensure}, "changed": ["e"], "paths": []}
    answer = main(request(home / "file", **changes))
    assert "the check still says" in answer["failed"]["message"]


def test_a_secret_is_taken_out_of_what_a_command_said(home):
    ensure = {
        "kind": "ensure",
        "name": "role",
        "check": "exit 1",
        "do": 'echo "no login with $WORD"; exit 1',
        "secrets": {"WORD": "hunter2"},
    }
    changes = {"resources": {"e": ensure}, "changed": ["e"], "paths": []}
    answer = main(request(home / "file", **changes))
    assert answer["failed"]["message"] == "no login with «secret WORD»"


def test_two_applies_at_once_are_told_of_each_other(home):
    first, second = Lease.new(), Lease.new()
    assert main(request(home / "a", lease=first.encode())) == {"done": True}
    busy = main(request(home / "b", lease=second.encode()))["busy"]
    assert busy["holder"]["pid"] == os.getpid()
    assert not (home / "b").exists()
    main({"do": "release", "lease": second.encode()})
    assert "busy" in main(request(home / "b", lease=second.encode()))
    main({"do": "release", "lease": first.encode()})
    assert main(request(home / "b", lease=second.encode())) == {"done": True}


def test_the_lease_of_a_dead_controller_is_void(home):
    first, second = Lease.new(), Lease.new()
    main(request(home / "a", lease=first.encode()))
    taken = second.encode(void=first.token)
    assert main(request(home / "b", lease=taken)) == {"done": True}


def test_a_lease_runs_out(home):
    main(request(home / "a"))
    lease = json.loads((home / "home" / "lock").read_text())
    lease["expires"] = time.time() - 1
    (home / "home" / "lock").write_text(json.dumps(lease))
    assert main(request(home / "b")) == {"done": True}


def test_who_is_dead():
    me = Lease.new().holder
    assert not is_dead(me)
    assert is_dead(me | {"started": "1"}), "another process has the same number now"
    assert is_dead(me | {"pid": 2**22 + 1})
    assert not is_dead(me | {"machine": "elsewhere", "pid": 2**22 + 1}), "we can't know"
    assert process_start(2**22 + 1) is None
    assert machine() == me["machine"]


def test_the_last_words_are_those_that_tell_why():
    text = "Starting server\nstarted\nFATAL: no memory\nFATAL: no memory\nHINT: buy some\nbye\n"
    assert telling(text) == ["FATAL: no memory", "HINT: buy some"]


def test_looking_at_what_is_not_there_is_an_answer(home):
    look = look_path
    assert look({"path": str(home / "none")}) == {"type": "absent"}
    (home / "file").write_text("x")
    assert look({"path": str(home / "file" / "below")}) == {"type": "absent"}


def test_the_text_of_a_secret_file_stays_on_the_host(home):
    path = home / "file"
    path.write_text("hunter2")
    assert "text" not in look_path({"path": str(path), "secret": True})
    assert look_path({"path": str(path), "secret": False})["text"] == "hunter2"
