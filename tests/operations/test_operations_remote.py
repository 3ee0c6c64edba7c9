"""How scripts of a host are followed and files brought there: over a real connection, to here."""

import os

import pytest

from connect_infra.errors import OperationError
from connect_infra.operations import condition, remote
from connect_infra.targets import Target
from connect_infra.transport import connect


@pytest.fixture
def connection():
    with connect(Target(name="here", way="local", host="")) as opened:
        yield opened


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Make a script among the host's own."""
    monkeypatch.setattr(remote, "SCRIPTS", str(tmp_path))
    monkeypatch.setattr(condition, "SCRIPTS", str(tmp_path))

    def write(text, name="some.sh"):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return name

    return write


def test_lines_come_as_they_are_said_and_the_code_at_the_end(connection, script):
    said = []
    name = script('echo one; echo "two $1" >&2; printf unended; exit 7')
    assert remote.follow(connection, name, "a b", progress=said.append) == 7
    assert said == ["one", "two a b", "unended"]


def test_a_line_is_handed_over_before_the_script_ends(connection, script, tmp_path):
    gone = tmp_path / "gone"
    name = script(f"echo first; while [ ! -e {gone} ]; do sleep 0.05; done; echo last")
    said = []

    def note(line):
        said.append(line)
        gone.touch()

    assert remote.follow(connection, name, progress=note) == 0
    assert said == ["first", "last"]


def test_a_script_that_is_killed_with_its_shell_is_no_success(connection, script):
    with pytest.raises(OperationError, match="the end of the connection"):
        remote.follow(connection, script("kill -9 $PPID"), progress=print)


def test_the_error_is_in_the_hosts_own_words(connection, script):
    name = script("echo 'error: no room' >&2; echo 'release 1 is current, as before'; exit 1")
    with pytest.raises(OperationError) as raised:
        remote.must(connection, name, progress=lambda line: None)
    assert "expected some.sh to succeed, found no room" in str(raised.value)
    assert str(raised.value).endswith("release 1 is current, as before")


def test_a_script_that_is_not_there_is_an_error_and_not_silence(connection, script):
    with pytest.raises(OperationError, match="not found"):
        remote.must(connection, "missing.sh", progress=lambda line: None)


def test_a_file_arrives_whole_and_is_gone_afterwards(connection, tmp_path):
    file = tmp_path / "package.tar.gz"
    file.write_bytes(os.urandom(5_000_000))
    with remote.brought(connection, file, lambda line: None) as path:
        with open(path, "rb") as arrived:
            assert arrived.read() == file.read_bytes()
        assert os.stat(path).st_mode & 0o777 == 0o600
    assert not os.path.exists(path)


def test_a_file_that_is_not_there_is_one_line(connection, tmp_path):
    with (
        pytest.raises(OperationError, match=r"expected a file .*missing, found No such file"),
        remote.brought(connection, tmp_path / "missing", print),
    ):
        pytest.fail("there is nothing to bring")


def test_what_a_command_prints_is_fetched_whole_or_not_at_all(connection):
    pieces = []
    size = remote.fetched(connection, ["head", "-c", "3000000", "/dev/zero"], pieces.append)
    assert (size, b"".join(pieces)) == (3_000_000, bytes(3_000_000))
    with pytest.raises(OperationError, match="an end after 5 bytes"):
        remote.fetched(connection, ["sh", "-c", "printf '%024d' 0; exit 1"], pieces.append)


def test_health_that_can_not_be_read_is_an_error(connection, script):
    script('echo \'{"checks": [{"section": "a", "check": "b", "ok": true, "found": "c"}]}\'',
           "health-check.sh")  # fmt: skip
    assert condition.health(connection) == [condition.Check("a", "b", True, "c")]
    script("echo 'sudo: a password is required' >&2; exit 1", "health-check.sh")
    with pytest.raises(OperationError, match="a password is required"):
        condition.health(connection)
