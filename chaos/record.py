"""From what was measured to the journal's records; and the story that is told meanwhile."""

import time
from collections.abc import Callable, Mapping, Sequence

from chaos.checker import Findings
from chaos.journal import (
    AlertRecord,
    Event,
    LedgerRecord,
    ObjectiveRecord,
    OutageRecord,
    Probe,
    StreamRecord,
)
from chaos.objectives import Measured, Seen
from chaos.timeline import downtime, outages, percentile
from chaos.workload import Heard

ELEMENTS_SHOWN = 20
TELL_EVERY = 2.0
"""Seconds between lines about a stream that stays down."""


class Story:
    """The events of a drill, told as they happen, with their times on the workload's clock."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        """Tell everything to `progress`, too."""
        self.events: list[Event] = []
        self.begun = time.monotonic()
        self._progress = progress
        self._down: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def begin(self) -> None:
        """The workload begins now: all times count from here."""
        self.begun = time.monotonic()
        self.tell("begun", "reads, writes and jobs through the front door")

    def tell(self, kind: str, text: str) -> None:
        """An event."""
        at = time.monotonic() - self.begun
        self.events.append(Event(at=round(at, 3), kind=kind, text=text))
        self.note(text)

    def note(self, text: str) -> None:
        """What is no event of the drill itself."""
        self._progress(f"{time.monotonic() - self.begun:6.1f} s  {text}")

    def follow(self, streams: Sequence[Heard]) -> None:
        """Say what is down now and for how long, and when it is back."""
        now = time.monotonic()
        for stream in streams:
            if not stream.slots:
                continue
            last = stream.slots[-1]
            if last.state == "bad":
                since = self._down.setdefault(stream.name, last.at)
                if now - self._told.get(stream.name, 0.0) > TELL_EVERY:
                    self._told[stream.name] = now
                    self.note(f"{stream.name} down for {now - since:.1f} s: {last.why}")
            elif last.state == "ok" and stream.name in self._down:
                since = self._down.pop(stream.name)
                self._told.pop(stream.name, None)
                self.note(f"{stream.name} back after {max(0.0, last.at - since):.1f} s")


def stream_records(streams: Sequence[Heard], begun: float) -> list[StreamRecord]:
    """All probes of each stream, in the order in which they were due."""
    return [_stream(stream, begun) for stream in streams]


def _stream(stream: Heard, begun: float) -> StreamRecord:
    slots = sorted(stream.slots, key=lambda slot: slot.at)
    good = [slot.latency for slot in slots if slot.state == "ok"]
    down = outages(slots, stream.interval)
    count = {state: sum(slot.state == state for slot in slots) for state in ("ok", "bad", "void")}
    return StreamRecord(
        name=stream.name,
        interval=stream.interval,
        slots=len(slots),
        **count,
        downtime=round(downtime(slots, stream.interval), 3),
        longest_outage=round(max((one.seconds for one in down), default=0.0), 3),
        p50=_rounded(percentile(good, 50)),
        p95=_rounded(percentile(good, 95)),
        p99=_rounded(percentile(good, 99)),
        outages=[
            OutageRecord(
                begin=round(one.begin - begun, 3),
                end=round(one.end - begun, 3),
                slots=one.slots,
                why=one.why,
            )
            for one in down
        ],
        probes=[
            Probe(
                at=round(slot.at - begun, 3),
                seconds=round(slot.latency, 4),
                state=slot.state,
                why=slot.why,
            )
            for slot in slots
        ],
    )


def ledger_records(
    findings: Mapping[str, Findings | None], faults_at: Sequence[float]
) -> list[LedgerRecord]:
    """What the checker found in each history."""
    return [
        LedgerRecord(name=name, final_read=False)
        if found is None
        else _ledger(name, found, faults_at)
        for name, found in findings.items()
    ]


def _ledger(name: str, found: Findings, faults_at: Sequence[float]) -> LedgerRecord:
    return LedgerRecord(
        name=name,
        final_read=True,
        attempted=found.attempted,
        acknowledged=found.acknowledged,
        refused=found.refused,
        unknown=found.unknown,
        read=found.read,
        lost=len(found.lost),
        unexpected=len(found.unexpected),
        recovered=len(found.recovered),
        phantom=len(found.phantom),
        duplicated=len(found.duplicated),
        rpo_seconds=round(found.rpo_seconds(faults_at), 3),
        lost_elements=list(found.lost[:ELEMENTS_SHOWN]),
        unexpected_elements=list(found.unexpected[:ELEMENTS_SHOWN]),
        phantom_elements=list(found.phantom[:ELEMENTS_SHOWN]),
    )


def objective_records(measured: Sequence[Measured]) -> list[ObjectiveRecord]:
    """Each objective with its measurement."""
    return [
        ObjectiveRecord(
            name=one.name,
            unit=one.unit,
            at_least=one.at_least,
            at_most=None if one.at_most == float("inf") else one.at_most,
            source=one.source,
            measured=one.measured,
            met=one.met,
            note=one.note,
        )
        for one in measured
    ]


def alert_records(seen: Mapping[str, Seen], begun: float) -> list[AlertRecord]:
    """Each alert that fired."""
    return [
        AlertRecord(
            name=name, fired=round(one.fired - begun, 1), last_seen=round(one.last - begun, 1)
        )
        for name, one in sorted(seen.items())
    ]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
