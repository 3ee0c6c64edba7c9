"""A small site on this machine's loopback, over TLS, that counts for itself what it sees."""

import asyncio
import random
import re
import socket
import ssl
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from connect_infra.lab import authority
from loadtests.evidence import Evidence, Follower
from loadtests.plan import Plan
from loadtests.process import Locust
from loadtests.profile import Profile

DOMAIN = "site.test"
STYLE = b"body { color: black }"


@dataclass
class LittleSite:
    """A server of pages, style sheets and health, and everything that it counted."""

    port: int = 0
    trusted: str = ""
    requests: int = 0
    connections: int = 0
    open: int = 0
    peers: Counter[str] = field(default_factory=Counter)
    close_after: float | None = None
    """Seconds after which an idle connection is closed."""
    stall_at: int = -1
    """The request, counted from 1, that holds up all others."""
    stall: float = 0.0
    refusal: bytes = b""
    """What everybody gets instead of an answer."""

    async def serve(self, reader, writer):
        self.connections += 1
        self.open += 1
        self.peers[writer.get_extra_info("peername")[0]] += 1
        try:
            while True:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), self.close_after)
                self.requests += 1
                if self.requests == self.stall_at:
                    await asyncio.to_thread(threading.Event().wait, self.stall)
                writer.write(self.answer(head.split()[1].decode()))
                await writer.drain()
        except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()

    def answer(self, path: str) -> bytes:
        nonce = re.search(r"nonce=(\w+)", path)
        if self.refusal:
            return self.refusal
        body = STYLE
        if nonce:
            body = f'<meta name="nonce" content="{nonce[1]}">'.encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.fixture
def site(tmp_path):
    """The site, under the name that its certificate has."""
    issued = authority.issue(tmp_path, DOMAIN)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(issued.chain + issued.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    made = LittleSite(trusted=authority.authority_file(tmp_path).read_text())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    starting = asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context, backlog=4096)
    server = asyncio.run_coroutine_threadsafe(starting, loop).result(10)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    asyncio.run_coroutine_threadsafe(hang_up(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


async def hang_up() -> None:
    """End what still waits for a user."""
    serving = asyncio.all_tasks() - {asyncio.current_task()}
    for one in serving:
        one.cancel()
    await asyncio.gather(*serving, return_exceptions=True)


def _profile(users=20, rate=20.0, seconds=5.0, **more) -> Profile:
    data = {
        "name": "little",
        "description": "a test",
        "users": users,
        "sources": 10,
        "spacing": "even",
        "timeout": 3,
        "steps": [{"rate": rate, "seconds": seconds}],
        "mix": {"home": 1, "stylesheet": 1},
        "objectives": [{"measure": "error_rate", "at_most": 0}],
    }
    return Profile.model_validate(data | more)


@pytest.fixture
def plan_of(site):
    """A plan of pages and style sheets for the site: `plan_of(users=5)`, `plan_of(domain=…)`."""

    def made(domain=DOMAIN, lab=True, **more) -> Plan:
        wanted = _profile(**more)
        data = {
            "profile": wanted,
            "address": "127.0.0.1",
            "port": site.port,
            "domain": domain,
            "authority": site.trusted,
            "lab": lab,
            "sources": tuple(f"127.0.1.{n}" for n in range(1, wanted.sources + 1)),
        }
        return Plan.model_validate(data)

    return made


def free_port() -> int:
    """A port below those that the kernel gives to outgoing connections."""
    while True:
        port = random.randint(20_000, 32_000)
        with suppress(OSError), socket.create_server(("", port)):
            return port


class Trial:
    """A locust on a plan, its rows followed."""

    def __init__(
        self,
        plan: Plan,
        home: Path,
        workers: int = 0,
        rows: Path | None = None,
        remote: bool = False,
    ):
        plan = plan.model_copy(
            update={
                "workers": max(1, workers),
                "remote": remote,
                "sources": () if remote else plan.sources,
            }
        )
        self.port = free_port()
        self.evidence = Evidence.of(plan)
        (home / "plan.json").write_text(plan.model_dump_json())
        self.rows = rows or home / "rows.jsonl"
        self.follower = Follower(home / "rows.jsonl", self.evidence)
        self.locust = Locust(
            home / "plan.json",
            self.rows,
            home / "log",
            workers=workers,
            remote=remote,
            port=self.port,
        )
        self.log = home / "log"

    def run(self, until=lambda trial: False, limit: float = 60.0) -> Evidence:
        with self.locust:
            for _ in range(int(limit / 0.2)):
                threading.Event().wait(0.2)
                self.follower.follow()
                if not self.locust.running or until(self):
                    break
            else:
                raise AssertionError(self.log.read_text())
        self.follower.close()
        return self.evidence


@pytest.fixture
def trial(tmp_path):
    """Run a plan: `trial(plan, workers=2).run()`."""
    home = tmp_path / "run"
    home.mkdir()
    return lambda plan, **more: Trial(plan, home, **more)
