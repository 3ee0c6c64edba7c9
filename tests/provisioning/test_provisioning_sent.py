"""The program as it is sent: one source for a Python that knows nothing of this project."""

import base64
import subprocess

import pytest

from connect_infra.targets import Target
from connect_infra.transport import connect
from provisioning.apply import Lease
from provisioning.resources import Directory, File
from provisioning.sent import host_side


@pytest.fixture
def here():
    with connect(Target(name="here", way="local")) as connection:
        yield connection


def in_private(home):
    """The program, with another place for its own directory: nothing else is changed."""
    names = ("PENDING", "KEPT", "STAGED", "LOCK")
    places = {"HOME": str(home)} | {name: str(home / name.lower()) for name in names}
    return f"{host_side()}\nimport provisioning.host_side.home as home\nvars(home).update({places})"


def test_it_looks_and_changes_nothing(here, tmp_path):
    (tmp_path / "file").write_text("as it was\n")
    resources = [Directory(str(tmp_path)), File(f"{tmp_path}/file", b"new\n", 0o644)]
    wanted = {one.id: one.encode() for one in resources}
    answer = here.python(host_side(), {"do": "observe", "resources": wanted})
    assert set(answer["states"]) == set(wanted)
    assert answer["states"][resources[1].id]["text"] == "as it was\n"
    assert (tmp_path / "file").read_text() == "as it was\n"


def test_it_changes_a_component(here, tmp_path):
    file = File(f"{tmp_path}/file", b"new\n", 0o640)
    resource = file.encode() | {"content": base64.b64encode(b"new\n").decode()}
    request = {
        "do": "change", "name": "x", "resources": {file.id: resource}, "changed": [file.id],
        "paths": [file.path], "action": "", "validate": f'grep new "$STAGE{file.path}"',
        "verify": f"grep new {file.path}", "activation": None, "way_in": None,
        "lease": Lease.new().encode(),
    }  # fmt: skip
    assert here.python(in_private(tmp_path / "home"), request) == {"done": True}
    assert (tmp_path / "file").read_bytes() == b"new\n"
    assert list((tmp_path / "home" / "pending").iterdir()) == []


def test_the_hosts_own_timer_finds_the_way_back(tmp_path):
    program = tmp_path / "way-back.py"
    program.write_text(f"{host_side()}\n\nprint(way_back.__module__, way_back.__name__)\n")
    done = subprocess.run(["python3", program], cwd="/", capture_output=True, text=True)
    assert done.stdout == "provisioning.host_side.way_in way_back\n", done.stderr
