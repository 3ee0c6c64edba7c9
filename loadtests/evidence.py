"""What a run has left behind, as it comes in: the generators' rows and the looks at the server."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.plan import Plan
from loadtests.recorder import Merged, Row, window_seconds
from loadtests.result import Series
from loadtests.server import Raw


@dataclass
class Evidence:
    """Everything that a verdict is made of."""

    plan: Plan
    merged: Merged
    rows: list[Row] = field(default_factory=list)
    """States and ends; the requests are in `merged`."""
    raws: list[tuple[float, Raw]] = field(default_factory=list)
    """Looks at the server, by the epoch."""
    workers: int = 0
    """Workers that are there, as the master said last."""
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The client addresses of each worker that has taken its own."""
    begun: float | None = None
    """The epoch of the load's start."""
    reasons: list[str] = field(default_factory=list)
    """What makes the run invalid, whatever was measured."""
    missing: list[str] = field(default_factory=list)
    """What of the server could not be read."""
    series: list[Series] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)
    """Measures that are read from the server when the run is over."""

    @classmethod
    def of(cls, plan: Plan) -> "Evidence":
        """None yet."""
        profile = plan.profile
        seconds = window_seconds(profile.duration)
        return cls(plan, Merged(window_seconds=seconds, warmup=profile.warmup))

    @property
    def elapsed(self) -> float:
        """Seconds of the run, as the generators say; 0 before it."""
        return max((row["at"] for row in self.rows if row["kind"] == "state"), default=0.0)

    @property
    def reported(self) -> float:
        """Seconds of the run of whose requests every generator has told; 0 before it."""
        last = {row.get("worker", ""): row["reported"] for row in self.states}
        return min(last.values(), default=0.0)

    @property
    def states(self) -> list[Row]:
        """What the generators said of themselves."""
        return [row for row in self.rows if row["kind"] == "state"]

    @property
    def addresses(self) -> tuple[str, ...]:
        """All client addresses that users come from; empty for one of the kernel's choice."""
        taken = (one for each in self.sources.values() for one in each)
        return self.plan.sources or tuple(dict.fromkeys(taken))

    def add(self, row: Row) -> None:
        """Take in one row."""
        if row["kind"] == "begun":
            self.begun = row["at"]
        elif row["kind"] == "workers":
            self.workers = row["there"]
        elif row["kind"] == "sources":
            self.sources[row["worker"]] = tuple(row["addresses"])
        elif row["kind"] in {"state", "end"}:
            self.rows.append(row)
        else:
            self.merged.add(row)


class Follower:
    """Reads a file of rows while it grows."""

    def __init__(self, path: Path, evidence: Evidence) -> None:
        """New rows become part of `evidence`."""
        path.touch()
        self._file = path.open(encoding="utf-8")
        self._evidence = evidence
        self._rest = ""

    def follow(self) -> None:
        """Take in what is new; a line that is not finished waits for its end."""
        text = self._rest + self._file.read()
        *lines, self._rest = text.split("\n")
        for line in lines:
            self._evidence.add(json.loads(line))

    def close(self) -> None:
        """Take in the rest; half a line that a killed process left is no row."""
        self.follow()
        self._file.close()
