"""A container of the Docker engine as the host: commands by `exec`, without any network."""

import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Any

import docker
from docker.errors import DockerException

from connect_infra.errors import HostUnreachable
from connect_infra.targets import Target
from connect_infra.transport.base import Completed, Connection
from connect_infra.transport.relay import CHUNK, Channel

ENGINE_LIMIT = 10
"""Seconds that the engine may take for an answer."""

FRAME = struct.Struct(">BxxxI")
"""Before each piece of output: which one (1 stdout, 2 stderr), and its number of bytes."""

STDERR = 2


class ContainerConnection(Connection):
    """Commands run as root in the container `target.host`."""

    def __init__(self, target: Target) -> None:
        """Find the running container, or raise HostUnreachable."""
        super().__init__(f"{target.name} (container {target.host})", root=True)
        self._target = target
        try:
            self._engine = docker.from_env(timeout=ENGINE_LIMIT).api
            state = self._engine.inspect_container(target.host)["State"]["Status"]
        except (DockerException, OSError) as problem:
            raise self._unreachable(problem) from None
        if state != "running":
            raise self._unreachable(f"one that is {state}")

    def execute(self, argv: list[str], stdin: bytes, timeout: float) -> Completed:
        """Run a command in the container."""
        deadline = time.monotonic() + timeout
        execution = self._execution(argv)
        outputs: tuple[list[bytes], list[bytes]] = ([], [])
        writer = threading.Thread(target=_feed, args=(execution, stdin), daemon=True)
        try:
            writer.start()
            while piece := execution.next(deadline):
                outputs[piece[0] == STDERR].append(piece[1])
        except TimeoutError:
            raise self._timed_out(timeout) from None
        except OSError as problem:
            raise self._unreachable(problem) from None
        finally:
            execution.close()
            writer.join()
        return Completed.of(self._exit_code(execution.id, deadline), *map(b"".join, outputs))

    def open_channel(self, argv: list[str]) -> Channel:
        """Start a command in the container."""
        return self._execution(argv)

    def again(self) -> Connection:
        """Find the container once more."""
        return ContainerConnection(self._target)

    def close(self) -> None:
        """End the connection to the engine."""
        self._engine.close()

    def _execution(self, argv: list[str]) -> "_Execution":
        try:
            made = self._engine.exec_create(self._target.host, argv, stdin=True, user="root")
            return _Execution(made["Id"], self._engine.exec_start(made["Id"], socket=True))
        except (DockerException, OSError) as problem:
            raise self._unreachable(problem) from None

    def _exit_code(self, execution: str, deadline: float) -> int:
        """The engine knows the code a moment after the output has ended."""
        while True:
            try:
                state = self._engine.exec_inspect(execution)
            except (DockerException, OSError) as problem:
                raise self._unreachable(problem) from None
            if not state["Running"] and state["ExitCode"] is not None:
                return int(state["ExitCode"])
            if time.monotonic() > deadline:
                raise self._unreachable("no exit code of a command that has ended")
            time.sleep(0.002)

    def _unreachable(self, found: object) -> HostUnreachable:
        return HostUnreachable(
            expected="a running container",
            found=(str(found).splitlines() or [type(found).__name__])[0],
            where=self.name,
            remedy="check the host in the inventory, and `docker ps`",
        )


class _Execution(Channel):
    """A command in the container: what the engine sends is read in frames, and given as bytes."""

    def __init__(self, identifier: str, raw: Any) -> None:
        self.id = identifier
        self._socket: socket.socket = raw._sock
        # The response's own reader, because it may hold bytes that came along with the headers.
        self._reader = raw._response.raw._fp.fp
        self._response = raw._response
        self._socket.settimeout(None)

    def next(self, deadline: float | None = None) -> tuple[int, bytes] | None:
        """One piece of output, and of which; None at the end; TimeoutError past the deadline."""
        header = self._exactly(FRAME.size, deadline)
        if header is None:
            return None
        kind, size = FRAME.unpack(header)
        data = self._exactly(size, deadline)
        return None if data is None else (kind, data)

    def _exactly(self, size: int, deadline: float | None) -> bytes | None:
        found = bytearray()
        while len(found) < size:
            if deadline is not None:
                self._socket.settimeout(_left(deadline))
            try:
                data = self._reader.read1(min(CHUNK, size - len(found)))
            except ValueError:  # another thread has closed it meanwhile
                return None
            if not data:
                return None
            found += data
        return bytes(found)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> bytes:
        while piece := self.next():
            if piece[0] != STDERR:
                return piece[1]
        return b""

    def finish(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with suppress(OSError):  # the other side is gone already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._response.close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _feed(execution: _Execution, stdin: bytes) -> None:
    with suppress(OSError):  # the command may end without reading all
        execution.send(stdin)
        execution.finish()
