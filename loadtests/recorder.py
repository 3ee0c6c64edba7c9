"""What became of each request, in HDR histograms that can be sent, added up and never averaged.

Latencies are in microseconds from the intended start, kept to three digits up to a minute. They are
grouped by windows of the run and by action; a request belongs to the window in which it was due.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hdrh.histogram import HdrHistogram

SHORTEST_WINDOW = 5.0
MOST_WINDOWS = 240
"""A run's time series has windows of 5 s; a long run has longer ones instead of more."""

HIGHEST = 60_000_000
DIGITS = 3

Row = dict[str, Any]
"""A part of the results as it travels: JSON, one line each."""


def window_seconds(duration: float) -> float:
    """How long the windows of a run are, in whole seconds."""
    return max(SHORTEST_WINDOW, float(math.ceil(duration / MOST_WINDOWS)))


def histogram() -> HdrHistogram:
    """An empty histogram; all of a run are of this shape, so that they can be added."""
    return HdrHistogram(1, HIGHEST, DIGITS)


@dataclass
class Cell:
    """The requests of one action that were due in one window; `latency` holds the good ones."""

    latency: HdrHistogram = field(default_factory=histogram)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        """How many ended, well or not."""
        return int(self.latency.get_total_count()) + self.errors.total()

    def add(self, other: "Cell") -> None:
        """Count the other's requests too."""
        self.latency.add(other.latency)
        self.errors.update(other.errors)


class Recorder:
    """The requests that one process has seen end since the last time they were taken."""

    def __init__(self, window_seconds: float) -> None:
        """Start with nothing."""
        self.window_seconds = window_seconds
        self.ended = 0
        # An empty histogram takes 0.1 ms to make: none is made in vain.
        self._cells: defaultdict[tuple[int, str], Cell] = defaultdict(Cell)
        self._late: defaultdict[int, HdrHistogram] = defaultdict(histogram)

    def record(self, due: float, action: str, seconds: float, error: str = "") -> None:
        """One request that was due at `due` and ended `seconds` after that, well without error."""
        self.ended += 1
        cell = self._cells[self._window(due), action]
        if error:
            cell.errors[error] += 1
        else:
            cell.latency.record_value(_microseconds(seconds))

    def record_lateness(self, due: float, seconds: float) -> None:
        """How much later than due an idle user sent its request: the generator's own delay."""
        self._late[self._window(due)].record_value(_microseconds(seconds))

    def take(self) -> list[Row]:
        """All that was recorded, as rows; the recorder is empty then."""
        cells, self._cells = self._cells, defaultdict(Cell)
        late, self._late = self._late, defaultdict(histogram)
        rows = [
            {"kind": "cell", "window": window, "action": action, **_encoded(cell)}
            for (window, action), cell in cells.items()
        ]
        rows += [
            {"kind": "late", "window": window, "latency": one.encode().decode()}
            for window, one in late.items()
        ]
        return rows

    def _window(self, due: float) -> int:
        return int(due // self.window_seconds)


class Merged:
    """Everything that all processes of a run have recorded, put together from their rows.

    `windows` has each window's requests of all actions, `actions` each action's of all windows
    after the warm-up. A window counts as a whole: it is warm-up if it begins there.
    """

    def __init__(self, rows: Iterable[Row] = (), *, window_seconds: float, warmup: float = 0):
        """Add up the rows; the order does not matter."""
        self.window_seconds = window_seconds
        self.windows: dict[int, Cell] = {}
        self.actions: dict[str, Cell] = {}
        self.late: dict[int, HdrHistogram] = {}
        self.by_worker: Counter[str] = Counter()
        self._first = math.ceil(warmup / window_seconds)
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Count one row; rows of other kinds are not counted."""
        if row["kind"] == "late":
            late = self.late.setdefault(row["window"], histogram())
            late.add(HdrHistogram.decode(row["latency"]))
        elif row["kind"] == "cell":
            cell = Cell(HdrHistogram.decode(row["latency"]), Counter(row["errors"]))
            self.windows.setdefault(row["window"], Cell()).add(cell)
            if row["window"] >= self._first:
                self.actions.setdefault(row["action"], Cell()).add(cell)
            self.by_worker[row.get("worker", "")] += cell.requests

    def total(self) -> Cell:
        """All requests, the warm-up's too."""
        return self.between(0, math.inf)

    def measured(self) -> Cell:
        """All requests after the warm-up."""
        return self.between(self._first * self.window_seconds, math.inf)

    def between(self, since: float, until: float) -> Cell:
        """All requests of the windows that lie wholly between two seconds of the run."""
        total = Cell()
        for window, cell in self.windows.items():
            if self._inside(window, since, until):
                total.add(cell)
        return total

    def lateness(self, until: float = math.inf) -> HdrHistogram:
        """The generator's own delays in all windows that end by `until`."""
        total = histogram()
        for window, one in self.late.items():
            if self._inside(window, 0, until):
                total.add(one)
        return total

    def _inside(self, window: int, since: float, until: float) -> bool:
        start = window * self.window_seconds
        return since <= start and start + self.window_seconds <= until


def _microseconds(seconds: float) -> int:
    return min(max(round(seconds * 1e6), 1), HIGHEST)


def _encoded(cell: Cell) -> Row:
    return {"latency": cell.latency.encode().decode(), "errors": dict(cell.errors)}
