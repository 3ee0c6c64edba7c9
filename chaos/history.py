"""What was asked of a host and what became of it: one line an event, flushed before going on.

A drill's controller may be killed at any moment; what it had sent by then must still be known.
Times are seconds on the controller's monotonic clock.
"""

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

from connect_infra.errors import ObservationError

Outcome = Literal["ok", "fail", "info"]
"""ok: acknowledged. fail: it definitely did not happen. info: nobody knows."""


@dataclass(frozen=True)
class Operation:
    """One write: its element, when it was sent, and how and when it ended."""

    element: int
    invoked: float
    outcome: Outcome = "info"
    completed: float | None = None
    note: str = ""
    """Why it did not go well; of an acknowledged job, the id that the queue gave it."""


class Ledger:
    """Writes a history; threads may share it."""

    def __init__(self, path: Path) -> None:
        """Begin a new file; FileExistsError when there is one: histories are never mixed."""
        self._file = path.open("x", encoding="utf-8")
        self._lock = threading.Lock()
        self._latest = 0
        self._open: set[int] = set()

    def invoke(self, element: int, at: float) -> None:
        """Note that a write is about to be sent; elements only ever increase."""
        with self._lock:
            if element <= self._latest:
                raise ValueError(f"element {element} after {self._latest}: they must increase")
            self._latest = element
            self._open.add(element)
            self._append({"element": element, "at": at, "event": "invoke"})

    def complete(self, element: int, at: float, outcome: Outcome, note: str = "") -> None:
        """Note how a write ended."""
        with self._lock:
            if element not in self._open:
                raise ValueError(f"element {element} was not invoked, or ended before")
            self._open.remove(element)
            self._append({"element": element, "at": at, "event": outcome, "note": note})

    def close(self) -> None:
        """End the history; what has not ended by now stays unknown."""
        with self._lock:
            self._file.close()

    def __enter__(self) -> Self:
        """Use the ledger in a `with` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: object, trace: TracebackType | None
    ) -> None:
        """Close it at the block's end."""
        self.close()

    def _append(self, event: dict[str, object]) -> None:
        self._file.write(json.dumps(event) + "\n")
        self._file.flush()


def read_history(path: Path) -> tuple[Operation, ...]:
    """The operations of a history file, in the order in which they were sent.

    What has no completion is info. A last line that was cut off by a kill is left out; a file or
    any other line that can't be read is an ObservationError.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError as problem:
        raise ObservationError(
            expected="a history",
            found=problem.strerror or str(problem),
            where=str(path),
            remedy="run the drill again",
        ) from problem
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    operations: dict[int, Operation] = {}
    for number, line in enumerate(lines, 1):
        try:
            _take(operations, json.loads(line))
        except (ValueError, KeyError, TypeError) as problem:
            raise ObservationError(
                expected="an event of a history",
                found=f"{line.strip()[:80]!r} ({problem})",
                where=f"{path}, line {number}",
                remedy="run the drill again",
            ) from problem
    return tuple(operations.values())


def _take(operations: dict[int, Operation], event: dict[str, object]) -> None:
    element, at, kind = event["element"], event["at"], event["event"]
    if not isinstance(element, int) or not isinstance(at, int | float):
        raise TypeError("element or time is no number")
    if kind == "invoke":
        operations[element] = Operation(element, float(at))
        return
    if kind not in get_args(Outcome):
        raise ValueError(f"no event {kind!r}")
    begun = operations[element]
    operations[element] = Operation(element, begun.invoked, kind, float(at), str(event["note"]))  # type: ignore[arg-type]
