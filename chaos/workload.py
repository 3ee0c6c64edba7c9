"""The users of a drill, as its conductor sees them: started, told, stopped, and heard."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from chaos.timeline import Slot
from chaos.users import JOB_INTERVAL, LIMIT, READ_INTERVAL, WRITE_INTERVAL, Orders
from connect_infra.errors import ConnectInfraError
from connect_infra.web import Site

ELEMENTS_PER_RUN = 1_000_000
"""Elements are the run's start in seconds times this, then counted up: unique for ever.

They stay below 2**53, which is as far as the application's JavaScript can count, until 2255.
"""

STOP_LIMIT = 5 * LIMIT
"""Seconds until the users have their last answers."""


class WorkloadError(ConnectInfraError):
    """Raised when the process that sends the work has ended by itself."""


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


@dataclass
class Heard:
    """One stream of requests, and its slots in the order in which they ended."""

    name: str
    interval: float
    slots: list[Slot] = field(default_factory=list)


class Workload:
    """The processes of the users, and of the crowd if there is one, from `with` to their end."""

    def __init__(self, site: Site, home: Path, names: Names, crowd: float) -> None:
        """Histories go to `home`; `crowd`: so many more requests a second."""
        self.names = names
        self.writes_file, self.jobs_file = home / "writes.jsonl", home / "jobs.jsonl"
        self.streams = (
            Heard("reads", READ_INTERVAL),
            Heard("writes", WRITE_INTERVAL),
            Heard("jobs", JOB_INTERVAL),
        )
        self.crowd = Heard("crowd", 1 / crowd) if crowd else None
        self._site = site
        self._versions: list[str] = []
        self._users = Sender("chaos.users", home / "users.log", self.streams)
        self._senders = [self._users]
        if self.crowd:
            self._senders.append(Sender("chaos.crowd", home / "crowd.log", [self.crowd]))

    def expect(self, versions: Iterable[str]) -> None:
        """From now on the site may call itself one of these."""
        self._versions = sorted(versions)
        if self._users.running:
            self._users.tell({"versions": self._versions})

    @property
    def running(self) -> bool:
        """Whether all of it still sends."""
        return all(sender.running for sender in self._senders)

    def __enter__(self) -> Self:
        """Begin; returns when the first answer is there."""
        orders = Orders(
            address=self._site.address,
            domain=self._site.domain,
            authority=str(self._site.authority) if self._site.authority else None,
            versions=self._versions,
            writes=str(self.writes_file.absolute()),
            jobs=str(self.jobs_file.absolute()),
            first=self.names.first,
            crowd=1 / self.crowd.interval if self.crowd else 0.0,
        )
        for sender in self._senders:
            sender.start(orders)
        while self.running and not any(stream.slots for stream in self.streams):
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: object, trace: TracebackType | None
    ) -> None:
        """Stop sending, and wait for the answers that are under way."""
        for sender in self._senders:
            sender.stop()
        for sender in self._senders:
            sender.require_success()


class Sender:
    """One process that sends requests, and a thread that hears how each slot went."""

    def __init__(self, module: str, errors: Path, streams: Iterable[Heard]) -> None:
        """`errors` is the file for what the process says when it fails."""
        self._module, self._errors = module, errors
        self._streams = {stream.name: stream for stream in streams}
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._hear, name=module, daemon=True)

    @property
    def running(self) -> bool:
        """Whether the process has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, orders: Orders) -> None:
        """Start the process, and give it its orders."""
        with self._errors.open("w", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                cwd=Path(__file__).resolve().parents[1],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,  # Ctrl-C is for the conductor, who heals first
            )
        self.tell(orders)
        self._thread.start()

    def tell(self, order: object) -> None:
        """Send one more line; a process that has ended is found out by `require_success`."""
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()

    def stop(self) -> None:
        """End its input, and wait until it has its last answers."""
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(STOP_LIMIT)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._thread.join()

    def require_success(self) -> None:
        """Raise WorkloadError when the process ended otherwise than well."""
        assert self._process is not None
        if self._process.returncode != 0:
            lines = self._errors.read_text(encoding="utf-8").strip().splitlines()
            raise WorkloadError(
                expected="the process that sends the work to go on",
                found=lines[-1] if lines else f"exit code {self._process.returncode}",
                where=self._module,
                remedy=f"read {self._errors}",
            )

    def _hear(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            name, *slot = json.loads(line)
            self._streams[name].slots.append(Slot(*slot))
