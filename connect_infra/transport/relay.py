"""Carry bytes between local sockets and a port on the host's loopback, over channels."""

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connect_infra.transport.base import Channel

CHUNK = 65536

RELAY = """
import os, socket, sys, threading
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
s.settimeout(None)
def up():
    while True:
        data = os.read(0, 65536)
        if not data:
            s.shutdown(socket.SHUT_WR)
            return
        s.sendall(data)
threading.Thread(target=up, daemon=True).start()
while True:
    data = s.recv(65536)
    if not data:
        break
    while data:
        data = data[os.write(1, data):]
"""
"""What runs on the host: standard input and output joined to a TCP connection."""


@contextmanager
def relayed(open_channel: "Callable[[], Channel]", port: int) -> Iterator[Path]:
    """Listen on a private unix socket and carry each connection over a channel of its own."""
    with tempfile.TemporaryDirectory(prefix="connect-infra-") as folder:
        path = Path(folder) / f".s.PGSQL.{port}"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            thread = threading.Thread(target=_serve, args=(listener, open_channel), daemon=True)
            thread.start()
            try:
                yield path
            finally:
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                thread.join(timeout=5)


def _serve(listener: socket.socket, open_channel: "Callable[[], Channel]") -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return  # the listener was closed: the stream has ended
        threading.Thread(target=_carry, args=(client, open_channel), daemon=True).start()


def _carry(client: socket.socket, open_channel: "Callable[[], Channel]") -> None:
    with client:
        channel = open_channel()
        try:
            upward = threading.Thread(target=_upward, args=(client, channel), daemon=True)
            upward.start()
            while data := channel.receive():
                client.sendall(data)
        except OSError:
            return  # the client has hung up; the channel is closed below
        finally:
            channel.close()


def _upward(client: socket.socket, channel: "Channel") -> None:
    with suppress(OSError):  # either side may hang up first
        while data := client.recv(CHUNK):
            channel.send(data)
        channel.finish()
