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
    """The process of the users, from `with` to its end."""

    def __init__(self, site: Site, home: Path, names: Names, crowd: float) -> None:
        """Histories go to `home`."""
        self.names = names
        self.writes_file, self.jobs_file = home / "writes.jsonl", home / "jobs.jsonl"
        self.streams = (
            Heard("reads", READ_INTERVAL),
            Heard("writes", WRITE_INTERVAL),
            Heard("jobs", JOB_INTERVAL),
        )
        self._site = site
        self._crowd = crowd
        self._versions: list[str] = []
        self._errors = home / "users.log"
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._hear, name="workload", daemon=True)

    def expect(self, versions: Iterable[str]) -> None:
        """From now on the site may call itself one of these."""
        self._versions = sorted(versions)
        if self._process is not None:
            self._tell({"versions": self._versions})

    @property
    def running(self) -> bool:
        """Whether it still sends."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        """Begin; returns when the first answer is there."""
        with self._errors.open("w", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "chaos.users"],
                cwd=Path(__file__).resolve().parents[1],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,  # Ctrl-C is for the conductor, who heals first
            )
        self._tell(
            Orders(
                address=self._site.address,
                domain=self._site.domain,
                authority=str(self._site.authority) if self._site.authority else None,
                versions=self._versions,
                writes=str(self.writes_file.absolute()),
                jobs=str(self.jobs_file.absolute()),
                first=self.names.first,
                crowd=self._crowd,
            )
        )
        self._thread.start()
        while self.running and not any(stream.slots for stream in self.streams):
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: object, trace: TracebackType | None
    ) -> None:
        """Stop sending, and wait for the answers that are under way."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            process.stdin.close()
            process.wait(STOP_LIMIT)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            process.kill()
            process.wait()
        self._thread.join()
        if process.returncode != 0:
            lines = self._errors.read_text(encoding="utf-8").strip().splitlines()
            raise WorkloadError(
                expected="the process that sends the work to go on",
                found=lines[-1] if lines else f"exit code {process.returncode}",
                where="chaos.users",
                remedy=f"read {self._errors}",
            )

    def _tell(self, order: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has died; the end of the block says why
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()

    def _hear(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        by_name = {stream.name: stream for stream in self.streams}
        for line in self._process.stdout:
            name, *slot = json.loads(line)
            if name in by_name:
                by_name[name].slots.append(Slot(*slot))
