"""The site as a client from outside meets it: TLS handshakes, and answers with all their headers.

Connections go to the target's own address and nowhere else; its domain is only the name that the
client gives in the handshake and asks for.
"""

import http.client
import re
import socket
import ssl
import time
from dataclasses import dataclass

from connect_infra.errors import GuardError, HostUnreachable
from connect_infra.targets import Target
from connect_infra.targets.lab import authority_file, state_dir

LIMIT = 15.0
"""Seconds for one connection or answer."""

EVERYTHING = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
"""All cipher suites that this machine's OpenSSL can offer, weak ones included."""


@dataclass(frozen=True)
class Answer:
    """What the server said; header names in lower case, in order, repeated ones repeated."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of one header."""
        return tuple(value for key, value in self.headers if key == name.lower())

    def one(self, name: str) -> str:
        """A header's values as a client joins them; empty when there is none."""
        return ", ".join(self.all(name))


@dataclass(frozen=True)
class Handshake:
    """A handshake that succeeded, or why the server refused it (then `version` is empty)."""

    version: str
    cipher: str = ""
    protocol: str = ""
    reused: bool = False
    session: ssl.SSLSession | None = None
    certificate: bytes = b""
    refusal: str = ""


class Site:
    """A target's site. Trusts the lab's authority on a lab host, the machine's on a server."""

    def __init__(self, target: Target) -> None:
        """Remember where to connect; GuardError when the target has no address for clients."""
        if target.way == "docker":
            raise GuardError(
                expected="a target that clients can reach",
                found="way = docker",
                where=f"target {target.name}",
                remedy="reach it by ssh, or verify what is behind the site only",
            )
        self.address = target.host if target.way == "ssh" else "127.0.0.1"
        self.domain = target.domain
        self.authority = authority_file(state_dir().absolute()) if target.lab else None

    def ask(
        self,
        path: str,
        *,
        port: int = 443,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        limit: float = LIMIT,
    ) -> Answer:
        """One request over a connection of its own; redirects are answers, not followed."""
        connection = http.client.HTTPConnection(self.domain, port)
        connection.sock = self.connect(port) if port != 443 else self._secure(self.context())
        connection.sock.settimeout(limit)
        try:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            pairs = tuple((name.lower(), value) for name, value in answer.getheaders())
            return Answer(answer.status, pairs, answer.read())
        finally:
            connection.close()

    def announce(self, path: str, length: int) -> int:
        """Announce a body of `length` bytes, send none of it: 100 when the server asks for it."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self.domain}\r\nContent-Length: {length}\r\n"
            "Content-Type: application/octet-stream\r\nExpect: 100-continue\r\n\r\n"
        )
        with self._secure(self.context()) as secure:
            secure.sendall(head.encode())
            return int(secure.recv(64).split()[1])

    def seconds_until_closed(self, most: float) -> float:
        """How long the server keeps a connection open on which nothing is asked any more."""
        with self._secure(self.context()) as secure:
            secure.sendall(f"HEAD / HTTP/1.1\r\nHost: {self.domain}\r\n\r\n".encode())
            secure.recv(65536)
            started = time.monotonic()
            secure.settimeout(most)
            while secure.recv(65536):
                pass
            return time.monotonic() - started

    def context(self, protocol: str = "http/1.1") -> ssl.SSLContext:
        """A client that checks chain and name, and asks for `protocol` (ALPN)."""
        context = ssl.create_default_context(cafile=str(self.authority) if self.authority else None)
        context.set_alpn_protocols([protocol])
        return context

    def handshake(
        self,
        version: ssl.TLSVersion | None = None,
        ciphers: str | None = None,
        protocol: str = "http/1.1",
        session: ssl.SSLSession | None = None,
    ) -> Handshake:
        """One handshake with this version and these ciphers only, chain and name checked.

        What the server itself refuses is part of the result. That this machine can't even offer
        it is an error of the machine: ssl.SSLError.
        """
        context = self.context(protocol)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if ciphers is not None:
            context.set_ciphers(ciphers)
        return self.shake(context, session)

    def shake(self, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> Handshake:
        """One handshake with a given client, to see whether it resumes `session`."""
        try:
            with self._secure(context, session) as secure:
                # A session of TLS 1.3 comes after the handshake; the answer brings it along.
                secure.sendall(
                    b"GET /api/health HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
                    % self.domain.encode()
                )
                if secure.selected_alpn_protocol() != "h2":
                    secure.recv(65536)
                chosen = secure.cipher()
                return Handshake(
                    version=secure.version() or "",
                    cipher=chosen[0] if chosen else "",
                    protocol=secure.selected_alpn_protocol() or "",
                    reused=bool(secure.session_reused),
                    session=secure.session,
                    certificate=secure.getpeercert(binary_form=True) or b"",
                )
        except ssl.SSLError as problem:
            refusal = _reason(problem)
            if "ALERT" not in refusal and "EOF" not in refusal:
                raise
            return Handshake(version="", refusal=refusal)

    def connect(self, port: int) -> socket.socket:
        """A bare connection to one of the target's ports; HostUnreachable when there is none."""
        try:
            return socket.create_connection((self.address, port), timeout=LIMIT)
        except OSError as problem:
            raise HostUnreachable(
                expected=f"a connection to port {port}",
                found=str(problem.strerror or problem),
                where=self.address,
                remedy="see whether nginx runs there and the firewall lets clients in",
            ) from problem

    def _secure(
        self, context: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> ssl.SSLSocket:
        bare = self.connect(443)
        try:
            return context.wrap_socket(bare, server_hostname=self.domain, session=session)
        except BaseException:
            bare.close()
            raise


def _reason(problem: ssl.SSLError) -> str:
    """OpenSSL's reason; Python has no name for some (no application protocol), but their words."""
    words = re.sub(r"^\[\w+\] | \(_ssl\.c:\d+\)$", "", str(problem.args[-1]))
    return problem.reason or words.upper().replace(" ", "_")
