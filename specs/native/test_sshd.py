"""Architecture v2.0, 6.1: sshd, as it would treat each login and as a client meets it.

The attempts come from the host itself, through the connection: fail2ban bans nobody for them.
"""

import socket
from contextlib import contextmanager

import pytest


def is_option(control):
    return control.key != "Protocol"


@pytest.fixture
def paramiko():
    """Paramiko's names; it is imported late, because facts are gathered beside the collection."""
    import paramiko

    return paramiko


@pytest.fixture
def stranger(connection, paramiko):
    """Speak SSH to the host's sshd, not logged in yet."""

    @contextmanager
    def meet():
        with connection.stream(22) as path, socket.socket(socket.AF_UNIX) as plug:
            plug.connect(str(path))
            client = paramiko.Transport(plug)
            client.start_client(timeout=10)
            try:
                yield client
            finally:
                client.close()

    return meet


@pytest.fixture
def guest(stranger, target, paramiko):
    """Log in as the target's user with the target's key."""

    @contextmanager
    def log_in():
        key = paramiko.PKey.from_path(target.key)
        with stranger() as client:
            client.auth_publickey(target.user, key)
            yield client

    return log_in


@pytest.mark.controls(component="sshd", where=is_option)
def test_every_login_is_treated_with(control, facts, found):
    values = facts.sshd.values(control.key)
    assert {control.parse(value) for value in found(values)} == {control.value}


@pytest.mark.controls(component="sshd")
def test_the_daemon_has_read_its_files(control, facts, found):
    assert found(facts.sshd.changed_since_loaded) == (), "changed after sshd last read them"
    assert facts.sshd.pid == facts.units["ssh.service"].pid


@pytest.mark.controls("sshd.Protocol")
def test_the_server_speaks_only_version(control, facts, found):
    assert control.parse(found(facts.sshd.protocol)) == control.value


@pytest.mark.controls("sshd.Port")
def test_sshd_listens_there_and_nowhere_else(control, facts, found):
    pid = facts.units["ssh.service"].pid
    own = [one for one in facts.host.listening if pid in {holder for _, holder in one.processes}]
    assert found({str(one.port) for one in own}) == {control.expected}


@pytest.mark.controls("sshd.PasswordAuthentication", "sshd.PubkeyAuthentication")
@pytest.mark.parametrize("user", ["connect", "root"])
def test_a_key_is_the_only_way_in(control, stranger, user, paramiko, found):
    with stranger() as client, pytest.raises(paramiko.BadAuthenticationType) as refusal:
        client.auth_none(user)
    assert found(refusal.value.allowed_types) == ["publickey"]


def answer(attempt, refusal):
    """What sshd said to an attempt: the words of its refusal, or that it was allowed."""
    try:
        attempt()
    except refusal as said:
        return str(said)
    return "allowed"


@pytest.mark.controls("sshd.PasswordAuthentication")
def test_a_password_is_not_even_taken(control, stranger, paramiko, found):
    with stranger() as client:
        said = answer(
            lambda: client.auth_password("connect", "secret", fallback=True),
            paramiko.AuthenticationException,
        )
    assert "allowed types: ['publickey']" in found(said)


@pytest.mark.controls("sshd.PermitRootLogin", "sshd.AllowUsers")
def test_nobody_else_comes_in_with_the_key_of_connect(control, stranger, target, paramiko, found):
    key = paramiko.PKey.from_path(target.key)
    other = "root" if control.key == "PermitRootLogin" else "nobody"
    with stranger() as client:
        said = answer(lambda: client.auth_publickey(other, key), paramiko.AuthenticationException)
    assert found(f"{other}: {said}") == f"{other}: Authentication failed."


@pytest.mark.controls("sshd.AllowTcpForwarding")
def test_a_port_is_not_forwarded(control, guest, paramiko, found):
    there, here = ("127.0.0.1", 22), ("127.0.0.1", 0)
    with guest() as client:
        said = answer(
            lambda: client.open_channel("direct-tcpip", there, here, timeout=10),
            paramiko.ChannelException,
        )
    assert "Administratively prohibited" in found(said)


@pytest.mark.controls("sshd.AllowTcpForwarding")
def test_the_host_opens_no_port_for_a_guest(control, guest, paramiko, found):
    with guest() as client:
        said = answer(lambda: client.request_port_forward("127.0.0.1", 0), paramiko.SSHException)
    assert "denied" in found(said)


@pytest.mark.controls("sshd.X11Forwarding")
def test_x11_is_not_forwarded(control, guest, paramiko, found):
    with guest() as client, client.open_session(timeout=10) as session:
        said = answer(session.request_x11, paramiko.SSHException)
    assert found(said) != "allowed"


@pytest.mark.controls("sshd.AllowAgentForwarding")
def test_an_agent_is_not_forwarded(control, guest, found):
    with guest() as client, client.open_session(timeout=10) as session:
        session.request_forward_agent(lambda channel: None)
        session.exec_command('printf "%s" "$SSH_AUTH_SOCK"')
        assert found(session.recv(200)) == b"", "the session has an agent's socket"


@pytest.mark.intrusive
@pytest.mark.controls("sshd.MaxAuthTries")
def test_the_third_wrong_key_ends_the_connection(control, stranger, paramiko, found):
    tries = 0
    with stranger() as client:
        while client.is_active() and tries < 10:
            tries += 1
            with pytest.raises((paramiko.SSHException, EOFError)):
                client.auth_publickey("connect", paramiko.ECDSAKey.generate())
    assert control.parse(str(found(tries))) == control.value
