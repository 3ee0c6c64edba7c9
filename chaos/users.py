"""What users do while a host is being broken: they read, they write, they queue jobs.

A process of its own: nothing else that a drill does may hold a probe up. `python -m chaos.users`
reads its orders, a JSON object a line, from standard input, and writes a line for each slot. When
its input ends it stops, so that a killed drill leaves no load behind.

All of it through the front door. nginx lets one address send 100 requests a second below /api/
(document A, 3.5); 50 writes and 5 jobs leave room, and reads go to a page outside /api/.
"""

import asyncio
import json
import os
import secrets
import ssl
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

from chaos.client import Door, NoReply, Reply
from chaos.history import Ledger, Outcome
from chaos.prober import Judged, Stream
from chaos.timeline import Slot

READ_INTERVAL = 0.05
"""Seconds between reads."""

WRITE_INTERVAL = 0.02
"""Seconds between writes: 50 a second."""

JOB_INTERVAL = 0.2
"""Seconds between queue jobs."""

LIMIT = 2.0
"""Seconds after which a user has given up on an answer."""

PRIORITY = -10
"""The nice value of the process that measures: on a lab, host and prober share the processors."""


class Orders(TypedDict):
    """The first line that the users read."""

    address: str
    domain: str
    authority: str | None
    """The file with the certificate to trust; None: those of this machine."""
    versions: list[str]
    writes: str
    jobs: str
    """The files of the two histories."""
    first: int
    """All elements are above this one."""
    crowd: float
    """So many more requests a second, by users who only look (chaos.crowd)."""


class Users:
    """The streams of requests."""

    def __init__(self, orders: Orders) -> None:
        """Open the histories."""
        self._door = Door(orders["address"], 443, orders["domain"], trusting(orders))
        self._first = orders["first"]
        self._nonce = secrets.token_hex(4)
        self._writes, self._jobs = Ledger(Path(orders["writes"])), Ledger(Path(orders["jobs"]))
        self._versions = frozenset(orders["versions"])

    async def run(self) -> None:
        """Send until the input ends; then wait for the answers that are under way."""
        streams = [
            Stream("reads", READ_INTERVAL, self._read, print_slot("reads")),
            Stream("writes", WRITE_INTERVAL, self._write, print_slot("writes")),
            Stream("jobs", JOB_INTERVAL, self._job, print_slot("jobs")),
        ]
        stopped = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for stream in streams:
                tasks.create_task(stream.run(stopped))
            await end_of_input(self._expect)
            stopped.set()
        self._writes.close()
        self._jobs.close()

    def _expect(self, line: bytes) -> None:
        self._versions = frozenset(json.loads(line)["versions"])

    async def _read(self, number: int) -> Judged:
        nonce, versions = f"{self._nonce}-{number}", self._versions
        # A word that no program has: a query that the index answers, whatever the table's size.
        path = f"/programs?query=zz{self._nonce}&nonce={nonce}"
        try:
            reply = await self._door.ask("GET", path, limit=LIMIT)
        except NoReply as problem:
            return "bad", problem.why
        if reply.status != 200:
            return "bad", f"status {reply.status}"
        if not _says(reply, "nonce", {nonce}):
            return "bad", "another nonce: an answer to somebody else"
        if not _says(reply, "version", versions):
            return "bad", f"another version than {' or '.join(sorted(versions))}"
        return "ok", ""

    async def _write(self, number: int) -> Judged:
        element = self._first + number + 1
        return await self._recorded(self._writes, element, "/api/ledger", {"element": element}, 201)

    async def _job(self, number: int) -> Judged:
        element = self._first + number + 1
        payload = {"kind": "noop", "payload": {"element": element}}
        return await self._recorded(self._jobs, element, "/api/jobs", payload, 202)

    async def _recorded(
        self, ledger: Ledger, element: int, path: str, payload: object, status: int
    ) -> Judged:
        ledger.invoke(element, time.monotonic())
        try:
            reply = await self._door.ask("POST", path, payload, limit=LIMIT)
        except NoReply as problem:
            outcome: Outcome = "info" if problem.sent else "fail"
            ledger.complete(element, time.monotonic(), outcome, problem.why)
            return "bad", problem.why
        outcome = outcome_of(reply, status)
        note = str(reply.json().get("id", "")) if outcome == "ok" else f"status {reply.status}"
        ledger.complete(element, time.monotonic(), outcome, note)
        return ("ok", "") if outcome == "ok" else ("bad", note)


def _says(reply: Reply, name: str, values: Iterable[str]) -> bool:
    """Whether the page's head has this name with one of the values."""
    return any(f'name="{name}" content="{value}"'.encode() in reply.body for value in values)


def outcome_of(reply: Reply, success: int) -> Outcome:
    """What an answer to a write says about it.

    The application tells `fail` from `info` where it answers 503; nginx' limiter (429) and its
    refusals (4xx) come before the application has seen the request. All else is unknown: 502 and
    504 say only that nginx had no answer, and 500 that something broke on the way.
    """
    if reply.status == success:
        return "ok"
    if 400 <= reply.status < 500 or reply.json().get("outcome") == "fail":
        return "fail"
    return "info"


def print_slot(name: str) -> Callable[[Slot], None]:
    """Writes a stream's slots down."""

    def tell(slot: Slot) -> None:
        print(json.dumps([name, slot.at, slot.latency, slot.state, slot.why]), flush=True)

    return tell


def trusting(orders: Orders) -> ssl.SSLContext:
    """What the site's certificate is checked with."""
    return ssl.create_default_context(cafile=orders["authority"])


async def end_of_input(obey: Callable[[bytes], None] = lambda line: None) -> None:
    """Wait until standard input ends; `obey` gets each line of it."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        obey(line)


def main() -> None:
    """Take the orders, and go."""
    with suppress(OSError):  # without the right to it, busy machines make void slots
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
        # Where sessions share the processors first, this one must come before the others: sched(7).
        Path("/proc/self/autogroup").write_text(str(PRIORITY), encoding="ascii")
    users = Users(json.loads(sys.stdin.readline()))
    asyncio.run(users.run())


if __name__ == "__main__":
    main()
