"""What was promised, what was measured, and the verdict; pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from chaos.checker import Findings
from chaos.timeline import Slot, downtime, outages, recovered_at, void_share

Verdict = Literal["met", "missed", "unknown", "not_restored"]

EXIT_CODES: Mapping[Verdict, int] = {"met": 0, "missed": 1, "unknown": 2, "not_restored": 3}

WINDOW = 3.0
"""Seconds of nothing but good slots that make a recovery."""

MOST_VOID = 0.1
"""The part of a stream's slots that may be void before nothing can be said about it."""

MEASURES = ("rto", "downtime", "longest", "lost", "rpo", "refused")
SUBJECTS = ("reads", "writes", "jobs")


@dataclass(frozen=True)
class Objective:
    """One promise: a measure of a stream (rto_writes), an alert (fires_DatabaseDown), a limit."""

    name: str
    at_most: float
    source: str
    """Where the number comes from: a document's section, or why it was chosen."""
    at_least: float = 0.0


@dataclass(frozen=True)
class Measured:
    """An objective and what became of it; `met` is None where nothing can be said."""

    name: str
    unit: str
    at_least: float
    at_most: float
    source: str
    measured: float | None
    met: bool | None
    note: str


@dataclass(frozen=True)
class Cycle:
    """One fault: when it was begun, and when it was verified to have happened."""

    begun: float
    verified: float | None
    """None: a procedure that was to change something and did not."""


@dataclass(frozen=True)
class Seen:
    """One alert: when it was first and last seen firing (monotonic seconds)."""

    fired: float
    last: float


@dataclass
class Evidence:
    """Everything a verdict rests on."""

    cycles: Sequence[Cycle]
    streams: Mapping[str, tuple[float, Sequence[Slot]]]
    """Interval and slots by name."""
    findings: Mapping[str, Findings | None]
    """Of writes and of jobs; None where there was no final read."""
    healed_at: float | None = None
    """When the faults were undone, if that was needed to recover."""
    self_healing: bool = True
    """Whether the host had to recover before that."""
    alerts: Mapping[str, Seen] = field(default_factory=dict)
    alerts_observed: bool = False
    expected_alerts: frozenset[str] = frozenset()
    last_slot: float = 0.0


Value = tuple[float | None, str]
"""A measured number, or None where nothing can be said, and a remark."""


def judge(objectives: Sequence[Objective], evidence: Evidence) -> list[Measured]:
    """Hold every objective against the evidence."""
    return [_judged(objective, *measure(objective.name, evidence)) for objective in objectives]


def verdict(
    measured: Sequence[Measured],
    findings: Mapping[str, Findings | None],
    *,
    restored: bool,
    completed: bool,
) -> tuple[Verdict, list[str]]:
    """The verdict and its reasons: not restored beats missed beats unknown beats met."""
    reasons = [f"{one.name}: {one.note}" for one in measured if one.met is False]
    for name, found in findings.items():
        if found is not None and found.unexpected:
            reasons.append(f"{name}: {len(found.unexpected)} that nobody had sent were read")
        if found is not None and found.phantom:
            reasons.append(f"{name}: {len(found.phantom)} that had been refused were read")
    if not restored:
        return "not_restored", ["the host is not as it was before", *reasons]
    if reasons:
        return "missed", reasons
    unknown = [f"{one.name}: {one.note}" for one in measured if one.met is None]
    unknown += [f"{name}: no final read" for name, found in findings.items() if found is None]
    if not measured:
        unknown.append("no objective was measured")
    if unknown or not completed:
        return "unknown", unknown or ["the drill did not run to its end"]
    return "met", []


def measure(name: str, evidence: Evidence) -> Value:
    """The value of one objective by its name."""
    if not evidence.cycles:
        return None, "no fault happened"
    kind, _, subject = name.partition("_")
    if kind in ("fires", "clears"):
        return _alert(kind, subject, evidence)
    if name == "other_alerts":
        return _other_alerts(evidence)
    if name == "takes":
        return _takes(evidence)
    if kind in ("lost", "rpo", "refused"):
        return _of_findings(kind, evidence.findings.get(subject), evidence)
    interval, slots = evidence.streams[subject]
    if void_share(slots) > MOST_VOID:
        return None, f"{void_share(slots):.0%} of {len(slots)} slots are void: the prober was late"
    if kind == "rto":
        return _rto(slots, evidence)
    bad = sum(slot.state == "bad" for slot in slots)
    remark = f"{bad} of {len(slots)} slots, {interval * 1000:g} ms apart"
    if kind == "downtime":
        return downtime(slots, interval), remark
    return max((one.seconds for one in outages(slots, interval)), default=0.0), remark


def verified(cycles: Sequence[Cycle]) -> list[float]:
    """When the faults were seen to have happened."""
    return [cycle.verified for cycle in cycles if cycle.verified is not None]


def _takes(evidence: Evidence) -> Value:
    lengths = [
        None if one.verified is None else one.verified - one.begun for one in evidence.cycles
    ]
    if None in lengths:
        return float("inf"), "it was not done"
    return max(one for one in lengths if one is not None), "until it was verified"


def _rto(slots: Sequence[Slot], evidence: Evidence) -> Value:
    worst = 0.0
    ends = [cycle.begun for cycle in evidence.cycles[1:]] + [evidence.last_slot + 1]
    for cycle, end in zip(evidence.cycles, ends, strict=True):
        own = [slot for slot in slots if cycle.begun <= slot.at < end]
        back = recovered_at(own, cycle.begun, WINDOW if end == ends[-1] else 0.0)
        if back is None:
            return float("inf"), "did not recover"
        if evidence.self_healing and evidence.healed_at is not None and back > evidence.healed_at:
            return float("inf"), "did not recover by itself, only when it was healed"
        worst = max(worst, back - cycle.begun)
    return worst, f"the worst of {len(evidence.cycles)}" if len(evidence.cycles) > 1 else ""


def _of_findings(kind: str, found: Findings | None, evidence: Evidence) -> Value:
    if found is None:
        return None, "no final read"
    if not found.acknowledged:
        return None, "nothing was acknowledged, so nothing could be lost"
    if kind == "lost":
        return float(len(found.lost)), f"of {found.acknowledged} acknowledged"
    if kind == "refused":
        return float(found.refused + found.unknown), f"of {found.attempted} attempted"
    faults = verified(evidence.cycles)
    return found.rpo_seconds(faults), f"{len(found.lost)} of {found.acknowledged} lost"


def _alert(kind: str, name: str, evidence: Evidence) -> Value:
    seen = evidence.alerts.get(name)
    if not evidence.alerts_observed:
        return None, "the alerts could not be observed"
    if seen is None:
        return float("inf"), "it did not fire"
    if kind == "fires":
        return seen.fired - evidence.cycles[0].begun, ""
    if evidence.healed_at is None:
        return None, "the fault was not undone"
    if seen.last >= evidence.last_slot:
        return float("inf"), "it still fired at the end"
    return max(0.0, seen.last - evidence.healed_at), "after the host was healed"


def _other_alerts(evidence: Evidence) -> Value:
    if not evidence.alerts_observed:
        return None, "the alerts could not be observed"
    others = sorted(set(evidence.alerts) - evidence.expected_alerts)
    return float(len(others)), ", ".join(others) or "none fired"


def _judged(objective: Objective, measured: float | None, note: str) -> Measured:
    met = None if measured is None else objective.at_least <= measured <= objective.at_most
    finite = None if measured is None or measured == float("inf") else round(measured, 3)
    unit = "" if objective.name.startswith(("lost", "refused", "other")) else "s"
    if met is False:
        shown = (
            note if finite is None else f"{finite:g} {unit}".strip() + (f", {note}" if note else "")
        )
        bound = f"at most {objective.at_most:g}" if (measured or 0) > objective.at_most else (
            f"at least {objective.at_least:g}"
        )  # fmt: skip
        note = f"expected {bound} {unit}".strip() + f", found {shown}"
    return Measured(
        objective.name, unit, objective.at_least, objective.at_most, objective.source,
        finite, met, note,
    )  # fmt: skip
