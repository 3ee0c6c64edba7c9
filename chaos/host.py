"""The way to a host that is being broken: a connection that is made anew after it was lost."""

import threading
from contextlib import suppress

from connect_infra.errors import CommandFailed, TransportError
from connect_infra.targets import Target
from connect_infra.transport import Completed, Connection, connect

LINES_SHOWN = 4
"""How many of its last lines a failed command is quoted with."""


class Host:
    """Runs scripts as root on a target; threads may share it.

    Nothing is sent twice: a command that met a lost connection fails with TransportError, and the
    next one logs in again.
    """

    def __init__(self, target: Target) -> None:
        """Log in, or raise TransportError."""
        self.target = target
        self._lock = threading.Lock()
        self._connection: Connection | None = connect(target)
        self.name = self._connection.name

    def run(
        self, script: str, *arguments: str, stdin: bytes = b"", timeout: float = 60.0
    ) -> Completed:
        """Run a sh script as root, whatever its exit code."""
        connection = self._live()
        try:
            return connection.run(script, *arguments, sudo=True, stdin=stdin, timeout=timeout)
        except CommandFailed:
            raise
        except TransportError:
            self.forget()
            raise

    def answer(self, script: str, *arguments: str, timeout: float = 60.0) -> str:
        """What a script prints; CommandFailed when it ends with anything but 0."""
        done = self.run(script, *arguments, timeout=timeout)
        if done.code != 0:
            said = f"{done.stdout}\n{done.stderr}".split("\n")
            said = [line.strip() for line in said if line.strip()][-LINES_SHOWN:]
            raise CommandFailed(
                expected="a command to succeed",
                found=" / ".join(said)[-400:] if said else f"exit code {done.code} and no message",
                where=self.name,
                remedy="look at the host's journal",
            )
        return done.stdout

    def put(self, path: str, content: bytes, mode: int) -> None:
        """Write a file as root, flushed and renamed into place."""
        self._live().put(path, content, mode=mode)

    def forget(self) -> None:
        """Drop the connection, lost or not; the next command makes a new one."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError, EOFError):
                connection.close()

    def _live(self) -> Connection:
        with self._lock:
            if self._connection is None:
                self._connection = connect(self.target)
            return self._connection
