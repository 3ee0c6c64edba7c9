"""From the course of a drill to its journal: the one place where everything comes together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chaos.alerts import AlertWatch
from chaos.checker import Findings
from chaos.drills import Drill
from chaos.journal import Journal, Status
from chaos.objectives import Cycle, Evidence, judge, verdict, verified
from chaos.record import Story, alert_records, ledger_records, objective_records, stream_records
from chaos.workload import Heard

TELLING = ("aborted", "failed", "unrestored", "unread")
"""Events that are reasons of the verdict."""


@dataclass(frozen=True)
class Course:
    """What a drill has done and seen. Moments are monotonic seconds."""

    drill: Drill
    target: str
    started: str
    seconds: float
    status: Status
    restored: bool
    cycles: Sequence[Cycle]
    healed_at: float | None
    streams: Sequence[Heard]
    findings: Mapping[str, Findings | None]
    alerts: AlertWatch
    story: Story


def assess(course: Course) -> Journal:
    """Measure the objectives, give the verdict, and put all of it into the journal."""
    drill, story = course.drill, course.story
    measured = judge(drill.promised(), _evidence(course))
    decided, reasons = verdict(
        measured,
        course.findings,
        restored=course.restored,
        completed=course.status == "completed",
    )
    return Journal(
        drill=drill.name,
        title=drill.title,
        target=course.target,
        started=course.started,
        seconds=course.seconds,
        status=course.status,
        verdict=decided,
        reasons=reasons + [one.text for one in story.events if one.kind in TELLING],
        events=story.events,
        objectives=objective_records(measured),
        streams=stream_records(course.streams, story.begun),
        ledgers=ledger_records(course.findings, verified(course.cycles)),
        alerts=alert_records(course.alerts.seen, story.begun),
    )


def _evidence(course: Course) -> Evidence:
    fires = [one.name for one in course.drill.promised() if one.name.startswith("fires_")]
    return Evidence(
        cycles=course.cycles,
        streams={one.name: (one.interval, one.slots) for one in course.streams},
        findings=course.findings,
        healed_at=course.healed_at,
        self_healing=course.drill.self_healing,
        alerts=course.alerts.seen,
        alerts_observed=course.alerts.observed,
        expected_alerts=frozenset(name.removeprefix("fires_") for name in fires),
        last_slot=max((slot.at for one in course.streams for slot in one.slots), default=0.0),
    )
