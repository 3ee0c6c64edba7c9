"""A user's one connection: TLS 1.2 or 1.3 with names checked, kept alive, from a given address.

It is TLS on gevent's sockets. Locust's own FastHttpUser makes a TLS
context for each user (0.8 MB and 20 ms), and looks for closed connections with select(2), which
ends at file descriptor 1023; here all users share one context, and epoll has no such end. Nobody
waits at an idle connection: the event loop says when the server hangs up.
"""

import ssl
from dataclasses import dataclass
from typing import Any

import gevent
from gevent import socket

from loadtests.alarm import READABLE
from loadtests.exchange import Answer, Request
from loadtests.wire import packed, receive


@dataclass
class Traffic:
    """What the connections of one process have come to."""

    open: int = 0
    opened: int = 0
    closed_by_server: int = 0
    most: int = 0


class Browser:
    """One user's client. Not for use by two greenlets at once."""

    def __init__(
        self,
        address: tuple[str, int],
        domain: str,
        context: ssl.SSLContext,
        source: str,
        timeout: float,
        traffic: Traffic,
    ) -> None:
        """Remember where to go; nothing is sent before the first `ask`."""
        self._address = address
        self._domain = domain
        self._context = context
        self._source = (source, 0) if source else None
        self._timeout = timeout
        self._traffic = traffic
        self._line: ssl.SSLSocket | None = None
        self._watcher: Any = None  # of gevent's event loop, which has no types

    def packed(self, request: Request) -> bytes:
        """A request as this user sends it."""
        return packed(request, self._domain)

    def ask(self, request: Request, text: bytes) -> Answer:
        """Send one packed request and read its answer; OSError or HTTPException when that fails.

        The connection is kept, unless the server or a failure ends it. When the server hung up
        just as a kept one was used again, a GET is sent once more, as browsers do (RFC 9110,
        9.2.2).
        """
        self._look_away()
        kept = self._line is not None
        try:
            return self._ask(text)
        except ConnectionError:
            if not kept or request.method != "GET":
                raise
            self._traffic.closed_by_server += 1
            return self._ask(text)
        finally:
            self._watch()

    def close(self) -> None:
        """Hang up."""
        self._look_away()
        if self._line is not None:
            self._line.close()
            self._line = None
            self._traffic.open -= 1

    def _ask(self, text: bytes) -> Answer:
        line = self._line or self._open()
        try:
            with gevent.Timeout(self._timeout, TimeoutError(f"no answer in {self._timeout:g} s")):
                sent = 0
                while sent < len(text):
                    sent += line.write(text[sent:])
                answer, goes_on = receive(line)
        except BaseException:
            self.close()
            raise
        if not goes_on:
            self._closed_by_server()
        else:
            # Sends nothing (SSL_write(3)), and gives OpenSSL's buffer back, 16 kB: a session ticket
            # makes it take one that it would else keep until the next request.
            line.write(b"")
        return answer

    def _open(self) -> ssl.SSLSocket:
        with gevent.Timeout(self._timeout, TimeoutError(f"no connection in {self._timeout:g} s")):
            bare = socket.create_connection(self._address, source_address=self._source)
            try:
                bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                line = self._context.wrap_socket(bare, server_hostname=self._domain)
            except BaseException:
                bare.close()
                raise
        self._line = line
        self._traffic.open += 1
        self._traffic.opened += 1
        self._traffic.most = max(self._traffic.most, self._traffic.open)
        return line

    def _watch(self) -> None:
        """An idle connection has nothing to say: readable means that it ends."""
        if self._line is not None:
            self._watcher = gevent.get_hub().loop.io(self._line.fileno(), READABLE)
            self._watcher.start(self._closed_by_server)

    def _look_away(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None

    def _closed_by_server(self) -> None:
        self._traffic.closed_by_server += 1
        self.close()
