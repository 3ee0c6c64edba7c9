"""What only a connection to this machine can show: missing programs, and sudo without rights."""

import os
import shutil

import pytest

from connect_infra.errors import CommandFailed, SudoRefused
from connect_infra.targets import Target
from connect_infra.transport import connect

NOBODY = 65534


def as_nobody(work):
    """What `work` raises in a process without any rights, as text; empty if nothing."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        found = ""
        try:
            work()
        except BaseException as problem:
            found = f"{type(problem).__name__}: {problem}"
        os.write(writing, found.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        found = said.read()
    os.waitpid(child, 0)
    return found


def here():
    return connect(Target(name="here", way="local"))


def test_sudo_that_refuses_is_one_clear_line():
    found = as_nobody(lambda: here().run("true", sudo=True))
    assert found.startswith("SudoRefused: here: expected sudo without a password, found ")
    assert "NOPASSWD" in found
    assert found.count("\n") == 0


def test_without_sudo_the_same_user_may_run_commands():
    assert as_nobody(lambda: here().run("true")) == ""


def test_missing_sudo_is_said(tmp_path, monkeypatch):
    connection = here()
    connection._root = False  # as for a user who is not root
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SudoRefused, match="found sudo: No such file"):
        connection.run("true", sudo=True)


def test_missing_python_is_said(tmp_path, monkeypatch):
    (tmp_path / "timeout").symlink_to(shutil.which("timeout"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandFailed, match=r"expected python3 on the host, .* install python3"):
        here().python("def main(_): return 0", None)
