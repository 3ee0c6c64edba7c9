"""What users do while a host is being broken: they read, they write, they queue jobs.

All of it through the front door. nginx lets one address send 100 requests a second below /api/
(document A, 3.5); 50 writes and 5 jobs leave room, and reads go to a page outside /api/.
"""

import asyncio
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from chaos.client import Door, NoReply, Reply
from chaos.history import Ledger, Outcome
from chaos.prober import Judged, Stream

READ_INTERVAL = 0.05
"""Seconds between reads (DESIGN: 50 ms)."""

WRITE_INTERVAL = 0.02
"""Seconds between writes: 50 a second."""

JOB_INTERVAL = 0.2
"""Seconds between queue jobs."""

LIMIT = 2.0
"""Seconds after which a user has given up on an answer."""

ELEMENTS_PER_RUN = 1_000_000
"""Elements are the run's start in milliseconds times this, then counted up: unique for ever.

They stay below 2**53, which is as far as the application's JavaScript can count, until 2255.
"""


@dataclass(frozen=True)
class Names:
    """What tells this run's writes and jobs from all earlier ones."""

    first: int
    """Elements are above this one."""
    since_ms: int
    """The queue's ids begin with the host's time in milliseconds: not before this one."""

    @classmethod
    def fresh(cls, host_ms: int) -> "Names":
        """Above every earlier run's; `host_ms` is the host's clock now."""
        return cls(int(time.time()) * ELEMENTS_PER_RUN, host_ms)


class Workload:
    """The three streams, in a thread of their own, from `with` to its end."""

    def __init__(self, door: Door, home: Path, names: Names, crowd: float = 0.0) -> None:
        """Keep histories in `home`.

        `crowd`: so many more requests a second by users who only look.
        """
        self._door = door
        self.versions: set[str] = set()
        """What the site may call itself, at the moment at which a read is sent."""
        self._nonce = secrets.token_hex(4)
        self.names = names
        self.writes_file, self.jobs_file = home / "writes.jsonl", home / "jobs.jsonl"
        self._writes, self._jobs = Ledger(self.writes_file), Ledger(self.jobs_file)
        self.streams: Sequence[Stream] = (
            Stream("reads", READ_INTERVAL, self._read),
            Stream("writes", WRITE_INTERVAL, self._write),
            Stream("jobs", JOB_INTERVAL, self._job),
        )
        self._crowd = [Stream("crowd", 1 / crowd, self._read)] if crowd else []
        self._stopped: asyncio.Event | None = None
        self._loop = asyncio.new_event_loop()
        self._begun = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="workload", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: object, trace: TracebackType | None
    ) -> None:
        """Stop sending, wait for the answers that are under way, close the histories."""
        self.stop()

    @property
    def running(self) -> bool:
        """Whether it still sends."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """As the end of the block; a second time is fine. Raises what broke the workload."""
        if self._thread.is_alive() and self._stopped is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()
        self._writes.close()
        self._jobs.close()
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            self._loop.run_until_complete(self._streams())
        except BaseException as problem:
            self._failure = problem
        finally:
            self._begun.set()
            self._loop.close()

    async def _streams(self) -> None:
        self._stopped = asyncio.Event()
        self._begun.set()
        async with asyncio.TaskGroup() as tasks:
            for stream in (*self.streams, *self._crowd):
                tasks.create_task(stream.run(self._stopped))

    async def _read(self, number: int) -> Judged:
        nonce, versions = f"{self._nonce}-{number}", self.versions
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
        element = self.names.first + number + 1
        return await self._recorded(self._writes, element, "/api/ledger", {"element": element}, 201)

    async def _job(self, number: int) -> Judged:
        element = self.names.first + number + 1
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
