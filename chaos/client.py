"""One HTTPS request on a connection of its own, and how sure one can be that it did not happen.

Each request is a new user: no connection that is kept alive hides a front door that lets nobody in.
Standard clients don't say whether a byte of the request had left, and that decides whether a write
that failed is a `fail` (it did not happen) or an `info` (nobody knows).
"""

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reply:
    """A complete answer."""

    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body's object; empty when it holds none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


class NoReply(Exception):
    """No complete answer; `sent` says whether the host may have received the request."""

    def __init__(self, why: str, *, sent: bool) -> None:
        """Keep the reason as a few words."""
        super().__init__(why)
        self.why = why
        self.sent = sent


@dataclass(frozen=True)
class Door:
    """Where requests go: the address is the target's own, the domain only what is asked for."""

    address: str
    port: int
    domain: str
    tls: ssl.SSLContext | None

    async def ask(self, method: str, path: str, payload: object = None, *, limit: float) -> Reply:
        """Send one request; NoReply when no whole answer came within `limit` seconds."""
        progress = _Progress()
        try:
            async with asyncio.timeout(limit):
                return await self._ask(method, path, payload, progress)
        except TimeoutError:
            raise NoReply(f"no answer in {limit:g} s", sent=progress.sent) from None
        except ssl.SSLCertVerificationError as problem:
            raise NoReply(problem.verify_message, sent=progress.sent) from None
        except OSError as problem:
            why = problem.strerror or type(problem).__name__
            raise NoReply(why, sent=progress.sent) from None
        except (asyncio.IncompleteReadError, ValueError):
            raise NoReply("the answer was cut off", sent=progress.sent) from None

    async def _ask(self, method: str, path: str, payload: object, progress: "_Progress") -> Reply:
        reader, writer = await asyncio.open_connection(
            self.address,
            self.port,
            ssl=self.tls,
            server_hostname=self.domain if self.tls else None,
        )
        try:
            progress.sent = True
            writer.write(_request(self.domain, method, path, payload))
            await writer.drain()
            return await _reply(reader)
        finally:
            writer.transport.abort()


@dataclass
class _Progress:
    sent: bool = False


def _request(domain: str, method: str, path: str, payload: object) -> bytes:
    body = b"" if payload is None else json.dumps(payload).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: {domain}\r\nConnection: close\r\n"
    if payload is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def _reply(reader: asyncio.StreamReader) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    version, status = head[0].split(" ")[:2]
    if not version.startswith("HTTP/1."):
        raise ValueError(head[0])
    fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    length = fields.get("content-length")
    # Without a length the end of the connection is the end of the body (RFC 9112, 6.3).
    body = await (reader.read() if length is None else reader.readexactly(int(length)))
    return Reply(int(status), body)
