"""HTTP/1.1 on an open connection: one request out, one answer in.

With the parser in C that locust's own client has: the standard library's takes a third of a
millisecond for each answer, which would be counted as the site's.
"""

import http.client
import time
from typing import Protocol

from geventhttpclient.response import HTTPParseError, HTTPResponse

from loadtests.actions import BROWSER
from loadtests.exchange import Answer, Request

CHUNK = 16384
"""Bytes that are read at once: TLS has no larger record."""


class Line(Protocol):
    """An open connection."""

    def recv(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


class _Incoming(HTTPResponse):
    """An answer while it comes in."""

    body: bytes = b""

    def _on_body(self, buf: bytearray) -> None:
        self.body += buf


def packed(request: Request, domain: str) -> bytes:
    """A request as it is sent; ValueError for a header that would be two."""
    headers = {"Host": domain} | BROWSER | dict(request.headers)
    if request.body:
        headers["Content-Length"] = str(len(request.body))
    lines = [f"{request.method} {request.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if not all(line.isprintable() for line in lines):
        raise ValueError("a request's line has control characters")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + request.body


def receive(line: Line) -> tuple[Answer, bool]:
    """Read one answer: it, and whether the connection goes on. OSError or HTTPException if not."""
    incoming, at = _Incoming(), 0.0
    while not incoming.message_complete:
        data = line.recv(CHUNK)
        at = time.monotonic()
        if not data and not incoming.headers_complete:
            raise http.client.RemoteDisconnected("no answer")
        try:
            incoming.feed(data)  # no data is the end of a body that does not say its length
        except HTTPParseError as problem:
            raise problem if data else http.client.IncompleteRead(incoming.body) from problem
    named = {name.lower(): value for name, value in incoming.items()}
    return Answer(incoming.get_code(), named, incoming.body, at), not incoming.should_close()
