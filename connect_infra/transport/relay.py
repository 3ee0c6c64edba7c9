"""Carry bytes between local sockets and a port on the host's loopback, over channels.

Towards the host, a channel carries the bytes as they are, and its end is the end. From the host
they come in frames, because a channel can't always say that only one direction has ended, nor that
nobody listened on the port.
"""

import select
import socket
import struct
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from connect_infra.errors import CommandFailed, TransportError

CHUNK = 65536

FRAME = struct.Struct(">cI")
"""Before each frame: its kind (D data, E end, R refused and why) and the number of bytes in it."""

RELAY = """
import os, socket, struct, sys, threading
def tell(kind, data=b""):
    data = struct.pack(">cI", kind, len(data)) + data
    while data:
        data = data[os.write(1, data):]
def upward():
    try:
        while data := os.read(0, 65536):
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)
    except OSError:
        return
try:
    server = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
except OSError as problem:
    tell(b"R", str(problem).encode())
    sys.exit()
server.settimeout(None)
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
thread = threading.Thread(target=upward, daemon=True)
thread.start()
try:
    while data := server.recv(65536):
        tell(b"D", data)
except ConnectionError:
    server.close()
tell(b"E")
thread.join()
"""
"""What runs on the host; it ends when both directions have."""


class Channel(ABC):
    """A running command's standard input and output, as bytes; one thread for each direction."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Send all of `data`; OSError when the command has ended."""

    @abstractmethod
    def receive(self) -> bytes:
        """Return what arrived next; empty at the end."""

    @abstractmethod
    def finish(self) -> None:
        """Say that nothing more will be sent."""

    @abstractmethod
    def close(self) -> None:
        """End the command; also wakes a thread that sends or receives."""


@contextmanager
def relayed(open_channel: Callable[[], Channel], port: int, where: str) -> Iterator[Path]:
    """Listen on a private unix socket and carry each connection over a channel of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="connect-infra-") as folder,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        path = Path(folder) / f".s.PGSQL.{port}"
        listener.bind(str(path))
        listener.listen()
        relay = _Relay(listener, open_channel, f"127.0.0.1:{port} on {where}")
        try:
            yield path
        except Exception as problem:
            for failure in relay.failures:
                problem.add_note(str(failure))
            raise
        finally:
            relay.stop()


class _Relay:
    """The threads behind one listening socket: one accepts, two carry each connection."""

    def __init__(
        self, listener: socket.socket, open_channel: Callable[[], Channel], where: str
    ) -> None:
        self.failures: list[TransportError] = []
        self._listener = listener
        self._open_channel = open_channel
        self._where = where
        self._open: dict[socket.socket, Channel] = {}
        self._stopped = False
        self._changing = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def stop(self) -> None:
        """End all connections; what the host still runs for them ends with its input."""
        with self._changing:
            self._stopped = True
            still_open = list(self._open.items())
        with suppress(OSError):  # where nobody waits in accept
            self._listener.shutdown(socket.SHUT_RDWR)
        for client, channel in still_open:
            with suppress(OSError):  # where it has ended in the meantime
                client.shutdown(socket.SHUT_RDWR)
            channel.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # the stream has ended
            thread = threading.Thread(target=self._carry, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _carry(self, client: socket.socket) -> None:
        with client:
            try:
                channel = self._open_channel()
            except TransportError as problem:
                self.failures.append(problem)
                return
            with self._changing:
                self._open[client] = channel
                late = self._stopped
            try:
                if not late:
                    self._exchange(client, channel)
            finally:
                channel.close()
                with self._changing:
                    del self._open[client]

    def _exchange(self, client: socket.socket, channel: Channel) -> None:
        ended = threading.Event()
        upward = threading.Thread(target=_upward, args=(client, channel, ended), daemon=True)
        upward.start()
        try:
            self._downward(client, channel)
        except OSError:
            channel.close()  # the client has hung up
        ended.set()
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)
        upward.join()
        with suppress(OSError):  # where it was closed above
            while channel.receive():
                continue  # until the host has passed on all that we sent

    def _downward(self, client: socket.socket, channel: Channel) -> None:
        for kind, data in _frames(channel):
            if kind == b"D":
                client.sendall(data)
            elif kind == b"R":
                self.failures.append(self._nobody(data.decode(errors="backslashreplace")))
                client.shutdown(socket.SHUT_RDWR)
                return
            else:
                return
        client.shutdown(socket.SHUT_RDWR)  # the channel broke before either side had ended

    def _nobody(self, found: str) -> TransportError:
        return CommandFailed(
            expected="a server that listens",
            found=found,
            where=self._where,
            remedy="see whether the service runs",
        )


def _upward(client: socket.socket, channel: Channel, ended: threading.Event) -> None:
    with suppress(OSError):  # the command has ended; what it still said is carried downwards
        while data := _heard(client):
            channel.send(data)
        if _gone(client) and not ended.is_set():
            channel.close()  # nobody waits for the rest: free the session at once
        else:
            channel.finish()


def _heard(client: socket.socket) -> bytes:
    """What the client sent next; empty at its end, also when it left with bytes unread."""
    try:
        return client.recv(CHUNK)
    except ConnectionError:
        return b""


def _gone(client: socket.socket) -> bool:
    """Whether the client has closed its socket, rather than just ended its sending."""
    poll = select.poll()
    poll.register(client, 0)
    return bool(poll.poll(0))


def _frames(channel: Channel) -> Iterator[tuple[bytes, bytes]]:
    """Cut what arrives into frames, however it was split on the way."""
    arrived = bytearray()
    while data := channel.receive():
        arrived += data
        while len(arrived) >= FRAME.size:
            kind, size = FRAME.unpack_from(arrived)
            if len(arrived) < FRAME.size + size:
                break
            yield kind, bytes(arrived[FRAME.size : FRAME.size + size])
            del arrived[: FRAME.size + size]
