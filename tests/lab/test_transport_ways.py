"""The ways in that only a lab host can show: a container of the engine, and sudo of a real user."""

import hashlib
import os
import socket

import pytest

from connect_infra.errors import CommandTimedOut, HostUnreachable, SudoRefused
from connect_infra.targets import Target
from connect_infra.transport import Completed, connect

FIVE_MB = os.urandom(5_000_000)

ECHO = """
import socket, threading
listener = socket.create_server(("127.0.0.1", 7777))
while True:
    client, _ = listener.accept()
    client.sendall(b"hello ")
    while data := client.recv(65536):
        client.sendall(data)
    client.sendall(b" goodbye")
    client.close()
"""


@pytest.fixture(scope="module")
def bare(lab):
    """A bare host for this module, with an echo server on its loopback."""
    host = lab.up("ways")
    host.exec(f"systemd-run --unit=echo python3 -c '{ECHO}'")
    yield host
    host.remove()


def by_engine(host):
    return Target(name="contained", way="docker", host=host.container.name)


@pytest.fixture(params=["docker", "ssh"])
def way(request, bare):
    """The same host by the engine's exec and by ssh."""
    target = by_engine(bare) if request.param == "docker" else bare.target()
    with connect(target) as connection:
        yield connection


def test_commands_run_as_root_with_both_outputs_and_codes(way):
    done = way.run('id -un; echo "$1" >&2; exit 3', "it's", sudo=True)
    assert done == Completed(3, "root\n", "it's\n")


def test_a_command_that_fails_is_not_taken_for_sudo(way):
    done = way.run("echo 'sudo: a password is required' >&2; exit 1", sudo=True)
    assert done == Completed(1, "", "sudo: a password is required\n")


def test_five_megabytes_go_in_and_come_out(way):
    done = way.run("tee /dev/stderr", stdin=b"x" * 5_000_000)
    assert (len(done.stdout), len(done.stderr)) == (5_000_000, 5_000_000)
    assert way.run("sha256sum", stdin=FIVE_MB).stdout[:64] == hashlib.sha256(FIVE_MB).hexdigest()
    assert way.run("exit 7", stdin=FIVE_MB).code == 7


def test_a_late_command_is_ended_on_the_host(way, eventually_gone):
    with pytest.raises(CommandTimedOut):
        way.run("sleep 41.5", sudo=True, timeout=0.3)
    eventually_gone("sleep 41.5")


@pytest.fixture
def eventually_gone(bare):
    def check(line):
        script = f"for i in $(seq 80); do pgrep -fx '{line}' || exit 0; sleep 0.1; done; exit 1"
        code, left = bare.exec(script)
        assert code == 0, f"still there: {left}"

    return check


def test_python_and_put(way):
    assert way.python("def main(p): return p * 2", "ü", sudo=True) == "üü"
    way.put("/etc/connect test", FIVE_MB, mode=0o640, owner="connect", group="adm")
    stated = way.run("stat -c '%a %U %G %s' '/etc/connect test'").stdout
    assert stated == "640 connect adm 5000000\n"


def test_stream_reaches_the_loopback_and_ends_each_way_alone(way):
    with way.stream(7777) as path, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"are you there?")
        client.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: client.recv(4096), b""))
    assert said == b"hello are you there? goodbye"


def test_testinfra_sees_the_host(way):
    assert way.testinfra().service("ssh").is_running


def test_a_login_by_a_user_without_sudo_is_told_so(bare):
    code, said = bare.exec("mv /etc/sudoers.d/connect /root/ || ls /etc/sudoers.d")
    assert code == 0, said
    try:
        with connect(bare.target()) as connection:
            with pytest.raises(SudoRefused, match=r"found .*password.* NOPASSWD"):
                connection.run("touch /was-here", sudo=True)
            assert connection.run("ls /was-here").code != 0
            assert connection.run("id -un").stdout == "connect\n"
    finally:
        bare.exec("mv /root/connect /etc/sudoers.d/")


def test_a_container_that_is_not_there_or_does_not_run(bare):
    with pytest.raises(HostUnreachable, match="No such container"):
        connect(Target(name="contained", way="docker", host="no-such-container"))
    bare.container.pause()
    try:
        with pytest.raises(HostUnreachable, match="found one that is paused"):
            connect(by_engine(bare))
    finally:
        bare.container.unpause()


def test_no_engine_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with pytest.raises(HostUnreachable) as caught:
        connect(Target(name="contained", way="docker", host="any"))
    assert "\n" not in str(caught.value)
