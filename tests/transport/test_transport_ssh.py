"""Each way in which an SSH connection can fail has its own message, soon, and nothing beside it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress

import paramiko
import pytest

from connect_infra.errors import (
    AuthenticationRefused,
    CommandFailed,
    HostKeyMismatch,
    HostUnreachable,
)
from connect_infra.transport import connect, ssh

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")


def altered(sshd, **fields):
    return sshd.target.model_copy(update=fields)


def another_key(tmp_path, passphrase=""):
    path = tmp_path / "another"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path]
    subprocess.run(command, check=True)
    return path


def test_a_login_names_the_host_as_people_do(sshd):
    with connect(sshd.target) as connection:
        assert connection.name == f"this-machine (root@127.0.0.1:{sshd.target.port})"
        assert connection.run("echo $SSH_CONNECTION").stdout.startswith("127.0.0.1 ")


def test_again_is_a_login_of_its_own(sshd):
    with connect(sshd.target) as connection, connection.again() as fresh:
        ours, theirs = (each.run("echo $SSH_CONNECTION").stdout for each in (connection, fresh))
        assert ours != theirs


def test_a_wrong_key_is_refused(sshd, tmp_path):
    key = another_key(tmp_path)
    with pytest.raises(AuthenticationRefused, match=rf"user root .* {key}, found Authentication"):
        connect(altered(sshd, key=key))


def test_keys_that_were_not_named_are_not_tried(sshd, tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").write_bytes((sshd.folder / "user").read_bytes())
    monkeypatch.setenv("HOME", str(home))
    with pytest.raises(AuthenticationRefused):
        connect(altered(sshd, key=another_key(tmp_path)))


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda folder: None, "no key in the inventory"),
        (lambda folder: folder / "missing", "No such file"),
        (lambda folder: folder, "Is a directory"),
        (lambda folder: _junk(folder / "junk"), "found "),
        (lambda folder: another_key(folder, "passphrase"), "[Pp]ass"),
    ],
    ids=["none", "missing", "directory", "junk", "passphrase"],
)
def test_a_key_that_cannot_be_used_is_named(sshd, tmp_path, make, found):
    with pytest.raises(AuthenticationRefused, match=found) as caught:
        connect(altered(sshd, key=make(tmp_path)))
    assert "key" in caught.value.expected
    assert "\n" not in str(caught.value)


def _junk(path):
    path.write_text("no key at all")
    return path


def test_another_host_key_is_a_mismatch_that_names_the_file(sshd, tmp_path):
    other = another_key(tmp_path).with_suffix(".pub").read_text()
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{sshd.target.port} {other}")
    with pytest.raises(HostKeyMismatch, match=rf"{known_hosts}, found another key \(ssh-ed25519 "):
        connect(altered(sshd, known_hosts=known_hosts))
    assert known_hosts.read_text() == f"[127.0.0.1]:{sshd.target.port} {other}"


def test_an_unknown_host_is_a_mismatch_too(sshd, tmp_path):
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text("")
    with pytest.raises(HostKeyMismatch, match="this host and port are not in it"):
        connect(altered(sshd, known_hosts=known_hosts))
    with pytest.raises(HostKeyMismatch, match="No such file"):
        connect(altered(sshd, known_hosts=tmp_path / "missing"))


def test_without_a_file_the_users_own_known_hosts_count(sshd, tmp_path, monkeypatch):
    (tmp_path / ".ssh").mkdir()
    own = tmp_path / ".ssh" / "known_hosts"
    own.write_bytes(sshd.target.known_hosts.read_bytes())
    monkeypatch.setenv("HOME", str(tmp_path))
    target = altered(sshd, known_hosts=None)
    with connect(target) as connection:
        assert connection.run("true").code == 0
    own.write_text("")
    with pytest.raises(HostKeyMismatch, match=str(own)):
        connect(target)


def test_a_port_where_nobody_listens_fails_at_once(sshd):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(HostUnreachable, match="Unable to connect to port"):
        connect(altered(sshd, port=port))
    assert time.monotonic() - started < 2


def test_a_name_that_nobody_has_is_unreachable(sshd):
    with pytest.raises(HostUnreachable, match="check host and port"):
        connect(altered(sshd, host="no-such-host.invalid"))


@pytest.mark.parametrize("says", [b"", b"220 mail.example ESMTP\r\n" * 200])
def test_a_port_that_does_not_speak_ssh_fails_in_time(sshd, monkeypatch, says):
    monkeypatch.setattr(ssh, "CONNECT_LIMIT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept_and_say, args=(listener, says), daemon=True).start()
        started = time.monotonic()
        with pytest.raises(HostUnreachable, match=r"an SSH server that answers within 0\.3 s"):
            connect(altered(sshd, port=listener.getsockname()[1]))
    assert time.monotonic() - started < 5


def _accept_and_say(listener, says):
    client, _ = listener.accept()
    with client, suppress(ConnectionError):
        client.sendall(says)
        while client.recv(4096):
            continue


def test_the_terminal_stays_clean_when_a_login_fails(sshd):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept_and_say, args=(listener, b"?\r\n"), daemon=True).start()
        program = (
            "import json, sys\n"
            "from connect_infra.errors import HostUnreachable\n"
            "from connect_infra.targets import Target\n"
            "from connect_infra.transport import connect, ssh\n"
            "ssh.CONNECT_LIMIT = 0.3\n"
            "try:\n"
            "    connect(Target(**json.loads(sys.argv[1])))\n"
            "except HostUnreachable:\n"
            "    print('unreachable')\n"
        )
        target = altered(sshd, port=listener.getsockname()[1]).model_dump_json()
        done = subprocess.run([sys.executable, "-c", program, target], capture_output=True)
    assert (done.stdout, done.stderr) == (b"unreachable\n", b"")


def test_a_connection_that_breaks_is_told_from_a_command_that_fails(sshd):
    with connect(sshd.target) as connection:
        serving = sshd.sessions()[-1]
        threading.Timer(0.2, os.kill, (serving, signal.SIGKILL)).start()
        with pytest.raises(HostUnreachable, match="the SSH connection to last"):
            connection.run("sleep 5", timeout=10)
        with pytest.raises(HostUnreachable):
            connection.run("true")


def test_a_host_that_hangs_is_noticed_in_time(sshd, monkeypatch):
    with connect(sshd.target) as connection:
        monkeypatch.setattr(ssh, "CONNECT_LIMIT", 0.3)
        serving = sshd.sessions()[-1]
        os.kill(serving, signal.SIGSTOP)
        try:
            with pytest.raises(HostUnreachable, match="Timeout opening channel"):
                connection.run("true")
        finally:
            os.kill(serving, signal.SIGCONT)


def test_a_command_ended_by_a_signal_has_no_exit_code(sshd):
    with connect(sshd.target) as connection, pytest.raises(CommandFailed, match="signal"):
        connection.run("kill -KILL $PPID")


def test_streams_work_where_forwarding_is_forbidden(sshd, server):
    with connect(sshd.target) as connection:
        transport = connection._transport
        with pytest.raises(paramiko.ChannelException, match="prohibited"):
            transport.open_channel(
                "direct-tcpip", ("127.0.0.1", server.port), ("127.0.0.1", 0), timeout=5
            )
        with connection.stream(server.port) as path, socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            assert client.recv(6, socket.MSG_WAITALL) == b"hello "


def test_the_eleventh_stream_is_closed_and_says_why(sshd, server, monkeypatch):
    monkeypatch.setattr(ssh, "SESSION_PATIENCE", 0.2)
    greeted = []
    with (
        connect(sshd.target) as connection,
        pytest.raises(EOFError) as caught,
        connection.stream(server.port) as path,
        ExitStack() as clients,
    ):
        _dial_until_refused(path, clients, greeted)
    assert len(greeted) == 10
    assert "MaxSessions" in caught.value.__notes__[0]


def _dial_until_refused(path, clients, greeted):
    while True:
        client = clients.enter_context(socket.socket(socket.AF_UNIX))
        client.connect(str(path))
        if not client.recv(6, socket.MSG_WAITALL):
            greeted[0].sendall(b"the others go on")
            assert greeted[0].recv(16, socket.MSG_WAITALL) == b"the others go on"
            raise EOFError
        greeted.append(client)


def test_sessions_beyond_the_limit_wait_for_those_that_end(sshd):
    codes = []
    with connect(sshd.target) as connection:

        def sleep():
            codes.append(connection.run("sleep 0.2").code)

        threads = [threading.Thread(target=sleep) for _ in range(25)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert codes == [0] * 25


def test_clients_that_come_and_go_leave_their_places(sshd, server):
    with connect(sshd.target) as connection, connection.stream(server.port) as path:
        for _ in range(15):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                assert client.recv(1) == b"h"  # and leaves with the rest unread
