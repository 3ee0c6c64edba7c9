"""This machine itself as the host."""

import os
import signal
import socket
import subprocess
from contextlib import suppress

from connect_infra.errors import CommandFailed
from connect_infra.targets import Target
from connect_infra.transport.base import Completed, Connection
from connect_infra.transport.relay import CHUNK, Channel

PATIENCE = 1.0
"""Seconds for a command to end once its input has ended and nobody reads its output."""


class LocalConnection(Connection):
    """Commands are processes of this machine."""

    def __init__(self, target: Target) -> None:
        """Nothing needs to be opened."""
        super().__init__(target.name, root=os.geteuid() == 0)
        self._target = target

    def execute(self, argv: list[str], stdin: bytes, timeout: float) -> Completed:
        """Run a command here, in a process group of its own."""
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError) as problem:
            code = 127 if isinstance(problem, FileNotFoundError) else 126  # as a shell does
            return Completed(code, "", f"{argv[0]}: {problem.strerror}")
        except OSError as problem:
            raise CommandFailed(
                expected="a command that can be started",
                found=problem.strerror or str(problem),
                where=self.name,
                remedy="look at this machine's limits and memory",
            ) from None
        with process:
            try:
                stdout, stderr = process.communicate(stdin, timeout)
            except subprocess.TimeoutExpired:
                raise self._timed_out(timeout) from None
            finally:
                if process.returncode is None:
                    _kill_group(process)
        return Completed.of(process.returncode, stdout, stderr)

    def open_channel(self, argv: list[str]) -> Channel:
        """Start a command here."""
        return _ProcessChannel(argv)

    def again(self) -> Connection:
        """There is no login to make: another connection to this machine."""
        return LocalConnection(self._target)

    def close(self) -> None:
        """Nothing is held open."""


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    """A script's children are in its group; what runs as root by sudo, `timeout` ends."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


class _ProcessChannel(Channel):
    """A socket pair serves as both of the command's ends: either direction can end alone."""

    def __init__(self, argv: list[str]) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                argv, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL
            )

    def send(self, data: bytes) -> None:
        self._ours.sendall(data)

    def receive(self) -> bytes:
        return self._ours.recv(CHUNK)

    def finish(self) -> None:
        self._ours.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with suppress(OSError):  # the other side is gone already
            self._ours.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._ours.close()
