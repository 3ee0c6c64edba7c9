"""SSH by paramiko: one connection, strict host keys, time limits on everything."""

import logging
import shlex
import socket
import threading
import time
from pathlib import Path
from typing import Any

import paramiko
from paramiko.hostkeys import InvalidHostKey

from connect_infra.errors import (
    AuthenticationRefused,
    CommandFailed,
    HostKeyMismatch,
    HostUnreachable,
    TransportError,
)
from connect_infra.targets import Target
from connect_infra.transport.base import Completed, Connection
from connect_infra.transport.relay import Channel

CONNECT_LIMIT = 10.0
"""Seconds for the connection, the banner and the login, each; and for a new session."""

SESSION_PATIENCE = 3.0
"""Seconds to wait for a place when sshd refuses one more session: others may be about to end."""

SESSION_PAUSE = 0.05

KEEPALIVE = 15
"""Seconds between signs of life on an idle connection."""

WINDOW = 2**22
"""Bytes that a channel may have on the way."""

# paramiko logs what it also raises, with a traceback; without a handler that reaches the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class SshConnection(Connection):
    """One SSH connection; each command is a session on it."""

    def __init__(self, target: Target) -> None:
        """Log in, or raise HostUnreachable, HostKeyMismatch or AuthenticationRefused.

        Only the target's own key is offered, and only a host key on file is accepted.
        """
        name = f"{target.name} ({target.user}@{target.host}:{target.port})"
        super().__init__(name, root=target.user == "root")
        self._target = target
        self._known_hosts = target.known_hosts or Path.home() / ".ssh" / "known_hosts"
        self._client = paramiko.SSHClient()
        self._opening = threading.Lock()  # paramiko keeps the last refusal for all threads
        key = self._key()
        self._load_host_keys()
        self._login(key)

    def _key(self) -> paramiko.PKey:
        path = self._target.key
        try:
            if path is None:
                raise OSError("no key in the inventory")
            return paramiko.PKey.from_path(path)
        except (OSError, TypeError, ValueError, paramiko.SSHException) as problem:
            raise AuthenticationRefused(
                expected=f"a private key without a passphrase at {path}" if path else "a `key`",
                found=str(problem) or type(problem).__name__,
                where=self.name,
                remedy="correct the target's `key` in the inventory",
            ) from None

    def _load_host_keys(self) -> None:
        self._client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            self._client.load_host_keys(str(self._known_hosts))
        except (OSError, ValueError, InvalidHostKey) as problem:
            raise self._wrong_host_key(str(problem)) from None

    def _login(self, key: paramiko.PKey) -> None:
        try:
            self._client.connect(
                self._target.host,
                port=self._target.port,
                username=self._target.user,
                pkey=key,
                look_for_keys=False,
                allow_agent=False,
                timeout=CONNECT_LIMIT,
                banner_timeout=CONNECT_LIMIT,
                auth_timeout=CONNECT_LIMIT,
            )
        except paramiko.BadHostKeyException as problem:
            found = f"another key ({problem.key.get_name()} {problem.key.fingerprint})"
            raise self._wrong_host_key(found) from None
        except paramiko.AuthenticationException as problem:
            raise self._refused(problem) from None
        except (OSError, EOFError, paramiko.SSHException) as problem:
            if "not found in known_hosts" in str(problem):
                raise self._wrong_host_key("that this host and port are not in it") from None
            raise HostUnreachable(
                expected=f"an SSH server that answers within {CONNECT_LIMIT:g} s",
                found=str(problem) or type(problem).__name__,
                where=self.name,
                remedy="check host and port in the inventory, and that the host is up",
            ) from None
        self._transport = self._client.get_transport()
        self._transport.set_keepalive(KEEPALIVE)
        self._transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _wrong_host_key(self, found: str) -> HostKeyMismatch:
        return HostKeyMismatch(
            expected=f"the host's key in {self._known_hosts}",
            found=found,
            where=self.name,
            remedy="find out why; put a key into that file only when you know it is the host's own",
        )

    def _refused(self, problem: paramiko.AuthenticationException) -> AuthenticationRefused:
        return AuthenticationRefused(
            expected=f"user {self._target.user} to be let in with the key {self._target.key}",
            found=str(problem).rstrip(".") or "a refusal",
            where=self.name,
            remedy="check user and key in the inventory, and authorized_keys on the host",
        )

    def execute(self, argv: list[str], stdin: bytes, timeout: float) -> Completed:
        """Run a command in a session of its own."""
        deadline = time.monotonic() + timeout
        session = self._session()
        stdout: list[bytes] = []
        stderr: list[bytes] = []
        threads = [
            threading.Thread(target=work, args=(session, *rest), daemon=True)
            for work, *rest in (
                (_start, shlex.join(argv), stdin),
                (_drain, session.recv, stdout),
                (_drain, session.recv_stderr, stderr),
            )
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
            ended = session.status_event.wait(max(0.0, deadline - time.monotonic()))
            if not ended or any(thread.is_alive() for thread in threads):
                raise self._timed_out(timeout)
        finally:
            session.close()
        if session.exit_status == -1:
            raise self._without_exit_code()
        return Completed.of(session.exit_status, b"".join(stdout), b"".join(stderr))

    def open_channel(self, argv: list[str]) -> Channel:
        """Start a command in a session of its own."""
        session = self._session()
        try:
            session.exec_command(shlex.join(argv))
        except (OSError, EOFError, paramiko.SSHException) as problem:
            raise self._lost(problem) from None
        return _SshChannel(session)

    def again(self) -> Connection:
        """Log in once more."""
        return SshConnection(self._target)

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _session(self) -> Any:
        deadline = time.monotonic() + SESSION_PATIENCE
        while True:
            try:
                with self._opening:
                    return self._transport.open_session(WINDOW, timeout=CONNECT_LIMIT)
            except paramiko.ChannelException as problem:
                if time.monotonic() > deadline:
                    raise self._no_session(problem.text) from None
                time.sleep(SESSION_PAUSE)
            except (OSError, EOFError, paramiko.SSHException) as problem:
                raise self._lost(problem) from None

    def _no_session(self, found: str) -> TransportError:
        return TransportError(
            expected="one more session on the connection",
            found=f"a refusal: {found}",
            where=self.name,
            remedy="use fewer streams at once, or raise MaxSessions in the host's sshd_config",
        )

    def _without_exit_code(self) -> TransportError:
        if not self._transport.is_active():
            return self._lost(EOFError("the connection ended before the command"))
        return CommandFailed(
            expected="the command to end with an exit code",
            found="that the host refused it or a signal ended it",
            where=self.name,
            remedy="look at the host's log (sshd, out of memory)",
        )

    def _lost(self, problem: Exception) -> HostUnreachable:
        return HostUnreachable(
            expected="the SSH connection to last",
            found=str(problem) or type(problem).__name__,
            where=self.name,
            remedy="check the host and repeat",
        )


def _start(session: Any, line: str, stdin: bytes) -> None:
    try:
        session.exec_command(line)
        session.sendall(stdin)
        session.shutdown_write()
    except (OSError, EOFError, paramiko.SSHException):
        return  # the command ended without reading all, or never began: its exit code says which


def _drain(_: Any, receive: Any, into: list[bytes]) -> None:
    while data := receive(WINDOW):
        into.append(data)


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
