"""The record of one drill, as one typed JSON document: `Journal`. docs/drills.md explains it.

Times are seconds since the workload began, unless a field says otherwise.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from chaos.objectives import Verdict
from chaos.timeline import State
from connect_infra.errors import ObservationError

Status = Literal["completed", "aborted", "interrupted"]
"""How the drill ended, whatever it showed: to its end, by a stop condition, by a person."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(_Record):
    """Something that happened: begun, fault, verified, recovery, recovered, healed, aborted, …"""

    at: float
    kind: str
    text: str


class Probe(_Record):
    """One slot: when it was due, how long it took from then, how it went, why not well."""

    at: float
    seconds: float
    state: State
    why: str = ""


class OutageRecord(_Record):
    """From a bad slot to the next good one."""

    begin: float
    end: float
    slots: int
    why: str


class StreamRecord(_Record):
    """One kind of request: all its probes, and what follows from them. Latencies in seconds."""

    name: str
    interval: float
    slots: int
    ok: int
    bad: int
    void: int
    downtime: float
    longest_outage: float
    p50: float | None
    p95: float | None
    p99: float | None
    outages: list[OutageRecord]
    probes: list[Probe]


class LedgerRecord(_Record):
    """What the checker said about one history; the element lists hold at most the first 20."""

    name: str
    final_read: bool
    attempted: int = 0
    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    read: int = 0
    lost: int = 0
    unexpected: int = 0
    recovered: int = 0
    phantom: int = 0
    duplicated: int = 0
    rpo_seconds: float | None = None
    lost_elements: list[int] = []
    unexpected_elements: list[int] = []
    phantom_elements: list[int] = []


class ObjectiveRecord(_Record):
    """One objective against what was measured; `measured` is null where it is beyond any number."""

    name: str
    unit: str
    at_least: float
    at_most: float | None
    """null: no upper limit."""
    source: str
    measured: float | None
    met: bool | None
    note: str


class AlertRecord(_Record):
    """An alert that Alertmanager held during the drill."""

    name: str
    fired: float
    last_seen: float


class Journal(_Record):
    """One drill on one target. `started` is ISO 8601 in UTC."""

    format: Literal[1] = 1
    drill: str
    title: str
    target: str
    started: str
    seconds: float
    status: Status
    verdict: Verdict
    reasons: list[str]
    events: list[Event]
    objectives: list[ObjectiveRecord]
    streams: list[StreamRecord]
    ledgers: list[LedgerRecord]
    alerts: list[AlertRecord]


def save(journal: Journal, path: Path) -> None:
    """Write a journal, in one step."""
    beside = path.with_suffix(".new")
    beside.write_text(journal.model_dump_json(indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


def load(path: Path) -> Journal:
    """Read a journal that `save` wrote; ObservationError when it is none."""
    try:
        return Journal.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as problem:
        raise ObservationError(
            expected="the journal of a drill",
            found=str(problem).splitlines()[0],
            where=str(path),
            remedy="run the drill again",
        ) from problem
