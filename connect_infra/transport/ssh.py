"""SSH by fabric and paramiko: one connection, strict host keys, time limits on everything."""

import threading
import time
from typing import Any

import fabric
import paramiko

from connect_infra.errors import (
    AuthenticationRefused,
    CommandTimedOut,
    HostKeyMismatch,
    HostUnreachable,
)
from connect_infra.targets import Target
from connect_infra.transport.base import Channel, Completed, Connection, command_line

CONNECT_LIMIT = 10
"""Seconds for the connection, the banner and the login, each."""

WINDOW = 2**22
"""Bytes that a channel may have on the way."""


class SshConnection(Connection):
    """One SSH connection; each command is a session on it."""

    def __init__(self, target: Target) -> None:
        """Log in, or raise HostUnreachable, HostKeyMismatch or AuthenticationRefused."""
        super().__init__(f"{target.name} ({target.user}@{target.host}:{target.port})")
        self._target = target
        self._fabric = fabric.Connection(
            target.host,
            user=target.user,
            port=target.port,
            config=fabric.Config(overrides={"load_ssh_configs": False}, lazy=True),
            connect_timeout=CONNECT_LIMIT,
            connect_kwargs={
                "key_filename": str(target.key),
                "look_for_keys": False,
                "allow_agent": False,
                "banner_timeout": CONNECT_LIMIT,
                "auth_timeout": CONNECT_LIMIT,
            },
        )
        client = self._fabric.client
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.get_host_keys().clear()
        client.load_host_keys(str(target.known_hosts))
        self._login()

    def _login(self) -> None:
        target = self._target
        try:
            self._fabric.client.connect(
                target.host,
                port=target.port,
                username=target.user,
                timeout=CONNECT_LIMIT,
                **self._fabric.connect_kwargs,
            )
        except (paramiko.BadHostKeyException, paramiko.SSHException) as problem:
            raise self._explained(problem) from None
        except (OSError, EOFError) as problem:
            raise HostUnreachable(
                expected="an SSH server",
                found=str(problem) or type(problem).__name__,
                where=self.name,
                remedy="check host and port in the inventory, and that the host is up",
            ) from None
        transport = self._fabric.client.get_transport()
        transport.set_keepalive(15)

    def _explained(self, problem: paramiko.SSHException) -> Exception:
        unknown = "not found in known_hosts" in str(problem)
        if isinstance(problem, paramiko.BadHostKeyException) or unknown:
            return HostKeyMismatch(
                expected=f"the host key on file in {self._target.known_hosts}",
                found="a host that is not in it" if unknown else "another key",
                where=self.name,
                remedy="find out why; add the key only when you know that it is the host's own",
            )
        if isinstance(problem, paramiko.AuthenticationException):
            return AuthenticationRefused(
                expected=f"the key {self._target.key} to be accepted",
                found="refused",
                where=self.name,
                remedy="check user and key in the inventory, and authorized_keys on the host",
            )
        return HostUnreachable(
            expected="an SSH server that speaks in time",
            found=str(problem),
            where=self.name,
            remedy="check port and sshd",
        )

    def execute(self, argv: list[str], stdin: bytes, timeout: float) -> Completed:
        """Run a command in a session of its own."""
        channel = self._session()
        channel.settimeout(timeout)
        deadline = time.monotonic() + timeout
        try:
            channel.exec_command(command_line(argv))
            writer = threading.Thread(target=_feed, args=(channel, stdin), daemon=True)
            writer.start()
            stdout, stderr = _drain(channel, deadline)
            code = channel.recv_exit_status()
        except TimeoutError:
            raise CommandTimedOut(
                expected=f"a command to end within {timeout:g} s",
                found="it still runs",
                where=self.name,
                remedy="look at the host's load and disks",
            ) from None
        except (OSError, EOFError, paramiko.SSHException) as problem:
            raise self._lost(problem) from None
        finally:
            channel.close()
        if code == -1:
            raise self._lost(EOFError("the connection ended before the command"))
        decoded = (out.decode(errors="backslashreplace") for out in (stdout, stderr))
        return Completed(code, *decoded)

    def open_channel(self, argv: list[str]) -> Channel:
        """Start a command in a session of its own."""
        session = self._session()
        session.exec_command(command_line(argv))
        return _SshChannel(session)

    def again(self) -> Connection:
        """Log in once more."""
        return SshConnection(self._target)

    def close(self) -> None:
        """End the connection."""
        self._fabric.client.close()

    @property
    def client(self) -> Any:
        """The paramiko client, for what speaks to it directly (testinfra)."""
        return self._fabric.client

    def _session(self) -> Any:
        try:
            return self._fabric.client.get_transport().open_session(
                window_size=WINDOW, timeout=CONNECT_LIMIT
            )
        except (OSError, EOFError, AttributeError, paramiko.SSHException) as problem:
            raise self._lost(problem) from None

    def _lost(self, problem: Exception) -> HostUnreachable:
        return HostUnreachable(
            expected="the SSH connection to last",
            found=str(problem) or type(problem).__name__,
            where=self.name,
            remedy="check the host and repeat",
        )


def _feed(channel: Any, data: bytes) -> None:
    try:
        channel.sendall(data)
        channel.shutdown_write()
    except (OSError, EOFError):
        return  # the command ended without reading; its exit code says how


def _drain(channel: Any, deadline: float) -> tuple[bytes, bytes]:
    """Read both outputs to their end; TimeoutError past the deadline."""
    errors: list[bytes] = []

    def read_errors() -> None:
        while data := channel.recv_stderr(WINDOW):
            errors.append(data)

    reader = threading.Thread(target=read_errors, daemon=True)
    reader.start()
    output: list[bytes] = []
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        channel.settimeout(left)
        try:
            data = channel.recv(WINDOW)
        except TimeoutError:
            raise TimeoutError from None
        if not data:
            break
        output.append(data)
    reader.join(max(0.1, deadline - time.monotonic()))
    if not channel.status_event.wait(max(0.1, deadline - time.monotonic())):
        raise TimeoutError
    return b"".join(output), b"".join(errors)


class _SshChannel(Channel):
    def __init__(self, session: Any) -> None:
        self._session = session

    def send(self, data: bytes) -> None:
        self._session.sendall(data)

    def receive(self) -> bytes:
        return bytes(self._session.recv(WINDOW))

    def finish(self) -> None:
        self._session.shutdown_write()

    def close(self) -> None:
        self._session.close()
