"""A user's one connection: TLS 1.2 or 1.3 with names checked, kept alive, from a given address.

It is the standard library's client on gevent's sockets. Locust's own FastHttpUser makes a TLS
context for each user (0.8 MB and 20 ms), and looks for closed connections with select(2), which
ends at file descriptor 1023; here all users share one context, and epoll has no such end.
"""

import http.client
import ssl
import time
from dataclasses import dataclass

import gevent
from gevent import socket

from loadtests.actions import BROWSER, Answer, Request


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

    def ask(self, request: Request) -> Answer:
        """Send one request and read its answer; OSError or HTTPException when that fails.

        The connection is kept, unless the server or a failure ends it. When the server hung up
        just as a kept one was used again, a GET is sent once more, as browsers do (RFC 9110,
        9.2.2).
        """
        kept = self._line is not None
        try:
            return self._ask(request)
        except ConnectionError:
            if not kept or request.method != "GET":
                raise
            self._traffic.closed_by_server += 1
            return self._ask(request)

    def idle(self, until: float) -> None:
        """Do nothing until a moment of time.monotonic(); notice when the server hangs up."""
        while (left := until - time.monotonic()) > 0:
            if self._line is None:
                gevent.sleep(left)
                return
            try:
                # An idle connection has nothing to say: readable means that it ends.
                socket.wait_read(self._line.fileno(), timeout=left)
            except TimeoutError:
                return
            self._closed_by_server()

    def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            self._line.close()
            self._line = None
            self._traffic.open -= 1

    def _ask(self, request: Request) -> Answer:
        line = self._line or self._open()
        # A client of its own for each request: one that lives on keeps the last answer in memory.
        client = http.client.HTTPConnection(self._domain)
        client.sock = line
        try:
            with gevent.Timeout(self._timeout, TimeoutError(f"no answer in {self._timeout:g} s")):
                headers = BROWSER | dict(request.headers)
                client.request(request.method, request.path, request.body or None, headers)
                answer = client.getresponse()
                named = {name.lower(): value for name, value in answer.getheaders()}
                result = Answer(answer.status, named, answer.read())
        except BaseException:
            self.close()
            raise
        if answer.will_close:
            self._closed_by_server()
        return result

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

    def _closed_by_server(self) -> None:
        self._traffic.closed_by_server += 1
        self.close()
