"""Drills as the page shows them: what was broken, for how long, what was lost, and what changed.

Reads journals and what `connect-infra drill run --json` prints (journals without their probes);
fields that the page doesn't show are left alone. Times are seconds since the workload began.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup
from pydantic import BaseModel, ConfigDict

from connect_infra.report.page import svg
from connect_infra.report.page.parts import Part, Verdict
from connect_infra.report.page.svg import Moment, Series, Slot, State
from connect_infra.report.page.words import duration, grouped, listed, plural, with_unit

DrillVerdict = Literal["not_restored", "missed", "unknown", "met"]
"""The worst first."""

MOST_MOMENTS = 12
"""Events that a strip has room for; of more, only the faults are marked."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True)


class Event(_Data):
    """Something that happened."""

    at: float
    kind: str
    text: str


class Probe(_Data):
    """One slot of the prober: when it was due and what became of it."""

    at: float
    state: State


class Outage(_Data):
    """From a bad slot to the next good one."""

    begin: float
    end: float
    slots: int
    why: str


class Stream(_Data):
    """One kind of request; `probes` may have been left out, its figures may not."""

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
    outages: tuple[Outage, ...]
    probes: tuple[Probe, ...] = ()


class Ledger(_Data):
    """What became of the writes of one kind; without a final read nothing is known."""

    name: str
    final_read: bool
    attempted: int
    acknowledged: int
    unknown: int
    read: int
    lost: int
    unexpected: int
    recovered: int
    phantom: int
    duplicated: int
    rpo_seconds: float | None


class Objective(_Data):
    """One objective and what was measured; `met` is None where nothing can be said."""

    name: str
    unit: str
    at_least: float
    at_most: float | None
    source: str
    measured: float | None
    met: bool | None
    note: str

    @property
    def verdict(self) -> DrillVerdict:
        """Met, missed or unknown."""
        return "unknown" if self.met is None else "met" if self.met else "missed"

    @property
    def limit(self) -> str:
        """What was promised, in words."""
        if self.at_most is None:
            return f"at least {with_unit(self.at_least, self.unit)}"
        if self.at_least:
            return f"{self.at_least:g} to {with_unit(self.at_most, self.unit)}"
        return f"at most {with_unit(self.at_most, self.unit)}"


class Alert(_Data):
    """An alert that fired."""

    name: str
    fired: float
    last_seen: float


class Drill(_Data):
    """One drill on one target."""

    drill: str
    title: str
    target: str
    started: str
    seconds: float
    status: str
    verdict: DrillVerdict
    reasons: tuple[str, ...]
    events: tuple[Event, ...]
    objectives: tuple[Objective, ...]
    streams: tuple[Stream, ...]
    ledgers: tuple[Ledger, ...]
    alerts: tuple[Alert, ...]

    @property
    def met(self) -> int:
        """How many objectives were met."""
        return sum(1 for one in self.objectives if one.met)

    @property
    def longest_outage(self) -> float:
        """Of any stream, in seconds."""
        return max((one.longest_outage for one in self.streams), default=0.0)

    @property
    def lost(self) -> int | None:
        """Acknowledged writes that are gone; None where that is not known."""
        if not self.ledgers or not all(one.final_read for one in self.ledgers):
            return None
        return sum(one.lost for one in self.ledgers)


class DrillRun(_Data):
    """Drills of one file."""

    drills: tuple[Drill, ...]


@dataclass(frozen=True)
class Shown:
    """The latest run of a drill, with those before it, the oldest first."""

    drill: Drill
    before: tuple[Drill, ...]
    strips: tuple[tuple[Stream, Markup], ...]
    trend: tuple[list[str], Markup] | None
    """The names of the lines of the plot over the runs, and the plot."""


def shown(runs: Iterable[DrillRun]) -> tuple[Shown, ...]:
    """Return each drill's latest run, in the order in which the drills come."""
    by_name = grouped((drill for run in runs for drill in run.drills), lambda one: one.drill)
    return tuple(_shown(sorted(same, key=lambda one: one.started)) for same in by_name.values())


def _shown(runs: Sequence[Drill]) -> Shown:
    latest = runs[-1]
    return Shown(latest, tuple(runs[:-1]), strips(latest), _trend(runs))


def strips(drill: Drill) -> tuple[tuple[Stream, Markup], ...]:
    """Draw each stream that has slots, all on one scale."""
    by_stream = [(stream, slots_of(stream)) for stream in drill.streams]
    ends = [slots[-1].end for _, slots in by_stream if slots]
    end = max([*ends, *(event.at for event in drill.events)], default=0.0)
    moments = [Moment(event.at, event.kind) for event in marked(drill)]
    return tuple(
        (stream, svg.probe_strip(slots, end, moments, _said(stream)))
        for stream, slots in by_stream
        if slots
    )


def marked(drill: Drill) -> Sequence[Event]:
    """Return the events that a strip marks: all, or only the faults where there are many."""
    if len(drill.events) <= MOST_MOMENTS:
        return drill.events
    return [event for event in drill.events if event.kind == "fault"][:MOST_MOMENTS]


def slots_of(stream: Stream) -> list[Slot]:
    """Return a stream's slots; where the probes were left out, as its outages have them."""
    step = stream.interval
    if stream.probes:
        return [Slot(max(one.at, 0.0), one.at + step, one.state) for one in stream.probes]
    found, at = [], 0.0
    for outage in stream.outages:
        found += [Slot(at, outage.begin, "ok"), Slot(outage.begin, outage.end, "bad")]
        at = outage.end
    end = max(stream.slots * step, at)
    return [slot for slot in [*found, Slot(at, end, "ok")] if slot.end > slot.begin]


def _said(stream: Stream) -> str:
    return f"{stream.name}: {stream.ok:,} probes ok, {stream.bad:,} bad, {stream.void:,} void"


def _trend(runs: Sequence[Drill]) -> tuple[list[str], Markup] | None:
    """Draw what was measured in seconds, run by run; None where there is but one run."""
    measured: dict[str, list[tuple[float, float]]] = {}
    for number, run in enumerate(runs, 1):
        for one in run.objectives:
            if one.unit == "s" and one.measured is not None:
                measured.setdefault(one.name, []).append((number, one.measured))
    lines = [Series(name, points) for name, points in measured.items() if len(points) > 1]
    if not lines:
        return None
    title = f"{runs[-1].drill}: run by run"
    plot = svg.line_chart(lines, title, lambda run: f"{run:g}", duration)
    return [line.name for line in lines], plot


def part(drills: Sequence[Shown]) -> Part:
    """Return what the drills come to, each by its latest run."""
    if not drills:
        return Part("drills", "drills", "bad", "No drill was run", "")
    verdicts = [each.drill.verdict for each in drills]
    words: Mapping[DrillVerdict, str] = {
        "not_restored": "left a host that is not as it was",
        "missed": "missed an objective",
        "unknown": "can't be judged",
    }
    bad = [f"{verdicts.count(kind)} {said}" for kind, said in words.items() if kind in verdicts]
    outage = max(each.drill.longest_outage for each in drills)
    lost = [each.drill.lost for each in drills]
    gone = (
        f"{plural(sum(one or 0 for one in lost), 'acknowledged write')} lost"
        if None not in lost
        else "what was lost is not known of all"
    )
    detail = f"{plural(len(drills), 'drill')}; the longest outage was {duration(outage)}; {gone}."
    if bad:
        known = {"not_restored", "missed"}.intersection(verdicts)
        verdict: Verdict = "bad" if known else "unknown"
        return Part("drills", "drills", verdict, f"Of the drills, {listed(bad)}", detail)
    return Part("drills", "drills", "good", "Every drill met its objectives", detail)
