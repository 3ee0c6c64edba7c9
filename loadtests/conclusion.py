"""From the evidence of a run to its one document: pure."""

import sys
from datetime import UTC, datetime
from importlib.metadata import version

from connect_infra.targets import Target
from loadtests import analysis, knee, server
from loadtests.evidence import Evidence
from loadtests.exchange import CUT_OFF
from loadtests.profile import Profile
from loadtests.recorder import Cell
from loadtests.result import Knee, LoadRun, ServerResult, ServerSample
from loadtests.verdict import conclude, judge, shortcomings

WORKER_CONNECTIONS = 8192
"""Connections of one nginx worker, those to the application included (A 3.5)."""

TOO_MANY = "status 429"


def run_of(evidence: Evidence, target: Target, run_id: str, *, processes: int) -> LoadRun:
    """Put everything together and judge it; a run whose evidence has gaps is invalid."""
    plan, merged = evidence.plan, evidence.merged
    profile = plan.profile
    taken = _samples(evidence)
    steps = knee.steps(
        merged,
        profile,
        taken,
        cores=_cores(evidence),
        connections=_places(evidence),
        until=evidence.elapsed,
    )
    found_knee = knee.knee(steps) if profile.search_for_knee else None
    held = sum(one.seconds for one in steps if not one.broken)
    made = analysis.generator(
        evidence.rows, merged, profile, until=held if profile.search_for_knee else float("inf")
    )
    measures = _measures(evidence, taken, found_knee)
    objectives = judge(profile.objectives, measures)
    gaps = [*evidence.reasons, *analysis.incomplete(evidence.rows, merged, processes)]
    slow = bool(merged.total().errors) or any(
        one.measure in {"p95", "p99"} and one.verdict == "missed" for one in objectives
    )
    if not evidence.reasons or made.users:
        gaps += shortcomings(
            made, users=profile.users, server_is_slow=slow or profile.search_for_knee
        )
    verdict, reasons = conclude(objectives, gaps)
    measured = merged.measured()
    total = merged.total()
    return LoadRun(
        id=run_id,
        target=target.name,
        topology=target.topology,
        sizing=target.sizing,
        lab=target.lab,
        started=datetime.fromtimestamp(evidence.begun, UTC).isoformat(timespec="seconds")
        if evidence.begun
        else "",
        seconds=round(max(0.0, min(evidence.elapsed, profile.duration)), 1),
        complete=not gaps,
        profile=profile,
        sources=len(evidence.addresses),
        verdict=verdict,
        reasons=reasons,
        objectives=objectives,
        latency=analysis.latency_of(measured.latency),
        requests=total.requests,
        errors=total.errors.total(),
        actions=analysis.actions(merged, profile),
        failures=analysis.failures(merged),
        windows=analysis.windows(merged, evidence.states),
        steps=steps,
        knee=found_knee,
        generator=made,
        server=_server(evidence, taken),
        histogram=measured.latency.encode().decode(),
        comparison=None,
        versions={
            "python": sys.version.split()[0],
            "locust": version("locust"),
            "connect-infra": version("connect-infra"),
        },
    )


def _samples(evidence: Evidence) -> tuple[ServerSample, ...]:
    """The looks at the server, in seconds of the run."""
    begun = evidence.begun or (evidence.raws[0][0] if evidence.raws else 0.0)
    return server.samples([(at - begun, raw) for at, raw in evidence.raws])


def _cores(evidence: Evidence) -> int:
    return int(evidence.raws[0][1]["cores"]) if evidence.raws else 1


def _places(evidence: Evidence) -> int:
    workers = len(evidence.raws[0][1]["nginx_workers"]) if evidence.raws else 1
    return max(1, workers) * WORKER_CONNECTIONS


def _server(evidence: Evidence, taken: tuple[ServerSample, ...]) -> ServerResult:
    return ServerResult(
        cores=_cores(evidence) if evidence.raws else None,
        samples=taken,
        series=tuple(evidence.series),
        resources=server.resources_used(taken, _cores(evidence), _places(evidence))
        if taken
        else (),
        missing=tuple(evidence.missing),
    )


def _measures(
    evidence: Evidence, taken: tuple[ServerSample, ...], found_knee: Knee | None
) -> dict[str, float | None]:
    """Every measure that this run has, by its name; what was not observed is not there."""
    merged, profile = evidence.merged, evidence.plan.profile
    total, measured = merged.total(), merged.measured()
    found: dict[str, float | None] = dict(evidence.measures)
    if total.requests:
        ended = total.requests - total.errors[CUT_OFF]
        found["error_rate"] = 100 * total.errors.total() / total.requests
        limited = sum(n for kind, n in total.errors.items() if kind.startswith(TOO_MANY))
        found["limited"] = 100 * limited / max(1, ended)
        seconds = _measured_seconds(evidence, profile)
        found["rate"] = measured.latency.get_total_count() / seconds if seconds > 0 else None
        for name, quantile in {"p50": 50, "p95": 95, "p99": 99, "p999": 99.9}.items():
            found[name] = analysis.percentile(measured.latency, quantile)
        scrapes = merged.actions.get("scrape", Cell()).latency.get_total_count()
        found["scrapes"] = float(scrapes)
    if taken:
        found["established"] = max(one.established for one in taken)
        found["nginx_files"] = 100 * max(one.nginx_files for one in taken)
        found["memory"] = 100 * max(one.memory for one in taken)
        found["pgbouncer_clients"] = max(one.pgbouncer_clients for one in taken)
        found["pgbouncer_servers"] = max(one.pgbouncer_servers for one in taken)
    if len(evidence.raws) >= 2:
        found["oom_kills"] = server.oom_kills(evidence.raws)
        found["restarts"] = server.restarts(evidence.raws)
    found["knee"] = found_knee.rate if found_knee else None
    return found


def _measured_seconds(evidence: Evidence, profile: Profile) -> float:
    return min(evidence.elapsed, profile.duration) - profile.warmup
