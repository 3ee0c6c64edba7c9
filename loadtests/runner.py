"""One run from its beginning to its document: the only module that knows the order of things."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from connect_infra.errors import ConnectInfraError
from connect_infra.targets import Target
from connect_infra.transport import Connection, connect
from loadtests import after, guards, knee
from loadtests.baseline import compare
from loadtests.conclusion import run_of
from loadtests.evidence import Evidence, Follower
from loadtests.plan import Plan
from loadtests.planning import plan_for, require_even
from loadtests.process import Locust
from loadtests.profile import Profile
from loadtests.result import LoadRun
from loadtests.server import Watch
from loadtests.site import require_answer
from loadtests.sources import client_addresses
from loadtests.store import LOG, PLAN, ROWS, Store

BEGIN_LIMIT = 120.0
"""Seconds within which all users must be there."""

WORKERS_LIMIT = 300.0
"""Seconds before that within which all workers on other machines must have come."""

END_LIMIT = 60.0
"""Seconds after the last time-out within which locust must have ended."""

LATE_ENDS = 3.0
"""Seconds after a step until it is judged, so that its last answers count."""

BEAT = 1.0

Progress = Callable[[str], None]


def run_load(
    profile: Profile,
    target: Target,
    store: Store,
    progress: Progress,
    *,
    workers: int = 0,
    remote: bool = False,
) -> LoadRun:
    """Load a target as a profile says, judge it, keep the results; `workers` = 0: one process.

    GuardError when the target does not allow it, LoadError when the run can't even be kept. All
    else that goes wrong makes the run invalid and is among its reasons.
    """
    require_even(profile, workers, remote=remote)
    guards.require_allowed(target)
    with store.alone(target.name):
        path = store.new(profile.name, target.name, datetime.now(UTC))
        evidence = Evidence.of(plan_for(profile, target, (), max(1, workers), remote=remote))
        try:
            _attempt(evidence, target, path, progress, workers=workers)
        except KeyboardInterrupt:
            evidence.reasons.append("interrupted")
        except (ConnectInfraError, OSError) as problem:
            evidence.reasons.append(str(problem))
        run = run_of(evidence, target, path.name, processes=max(1, workers))
        store.save(path, run)  # first of all: an earlier run may be one that can't be read
        good = store.last_good(run) if run.verdict != "invalid" else None
        if good is not None:
            run = run.model_copy(update={"comparison": compare(good, run)})
            store.save(path, run)
    return run


def _attempt(
    evidence: Evidence, target: Target, path: Path, progress: Progress, *, workers: int
) -> None:
    plan = evidence.plan
    require_answer(target)
    with ExitStack() as open_:
        connection = open_.enter_context(connect(target))
        if not plan.remote:
            wanted = plan.profile.sources
            own = open_.enter_context(client_addresses(plan.address, wanted, lab=plan.lab))
            plan.require_sources([own] * plan.workers)
            evidence.plan = plan = plan.model_copy(update={"sources": own})
        before = after.counters(target, connection)
        watch = Watch(connection, lambda at, raw: evidence.raws.append((at, raw)))
        watch.start()
        open_.callback(_finish, evidence, target, connection, watch, before, progress)
        _make_load(plan, evidence, path, progress, workers=workers)


def _make_load(
    plan: Plan, evidence: Evidence, path: Path, progress: Progress, *, workers: int
) -> None:
    """Start locust and follow it to its end, or to the step that breaks."""
    (path / PLAN).write_text(plan.model_dump_json(indent=1), encoding="utf-8")
    follower = Follower(path / ROWS, evidence)
    locust = Locust(path / PLAN, path / ROWS, path / LOG, workers=workers, remote=plan.remote)
    try:
        with locust:
            _follow(locust, follower, evidence, progress)
    finally:
        follower.close()
        evidence.reasons.extend(locust.complaints())
    in_order = locust.exit_code() in (0, 1) and evidence.begun is not None
    if not in_order and not evidence.reasons:
        evidence.reasons.append(f"locust ended with {locust.exit_code()}: see {path / LOG}")


def _follow(locust: Locust, follower: Follower, evidence: Evidence, progress: Progress) -> None:
    profile = evidence.plan.profile
    started = time.monotonic()
    while locust.running:
        time.sleep(BEAT)
        follower.follow()
        progress(_status(evidence))
        # At the end of the run the workers end first.
        if evidence.elapsed < profile.duration and (dead := locust.dead_workers()):
            evidence.reasons.append(f"{dead} of the generator's workers died")
            return
        if overdue := _overdue(evidence, time.monotonic() - started):
            evidence.reasons.append(overdue)
            return
        if profile.search_for_knee and (broken := _broken_step(evidence)):
            progress(broken)
            return


def _overdue(evidence: Evidence, waited: float) -> str:
    """What should have happened by now, so many seconds after locust was started."""
    plan, profile = evidence.plan, evidence.plan.profile
    begin_limit = BEGIN_LIMIT
    if plan.remote:
        begin_limit += WORKERS_LIMIT
        if evidence.workers < plan.workers and waited > WORKERS_LIMIT and evidence.begun is None:
            return f"{evidence.workers} of {plan.workers} workers came within {WORKERS_LIMIT:.0f} s"
    if evidence.begun is None and waited > begin_limit:
        return f"not all users were there within {begin_limit:.0f} s"
    if evidence.elapsed > profile.duration + profile.timeout + END_LIMIT:
        return "locust did not end in time"
    return ""


def _broken_step(evidence: Evidence) -> str:
    """What the first step that broke was about; empty while all hold."""
    found = knee.steps(
        evidence.merged,
        evidence.plan.profile,
        (),
        cores=1,
        connections=1,
        until=evidence.reported - LATE_ENDS,
    )
    return next((f"{one.rate:g}/s broke: {one.broken}" for one in found if one.broken), "")


def _finish(
    evidence: Evidence,
    target: Target,
    connection: Connection,
    watch: Watch,
    before: after.Counters,
    progress: Progress,
) -> None:
    """What is read when the load has ended, and what is put right again."""
    progress("reading the server's side")
    watch.stop()
    if watch.problem:
        evidence.missing.append(watch.problem)
    after.read(evidence, target, connection, before)
    after.tidy(evidence, connection)


def _status(evidence: Evidence) -> str:
    """How the run is doing, in one line."""
    plan = evidence.plan
    if evidence.begun is None and plan.remote and evidence.workers < plan.workers:
        return f"waiting for workers: {evidence.workers} of {plan.workers} are there"
    if evidence.begun is None:
        return "users are made"
    states = {row.get("worker", ""): row for row in evidence.states}
    users = sum(row["users"] for row in states.values())
    connections = sum(row["open"] for row in states.values())
    total = evidence.merged.total()
    recent = evidence.merged.between(evidence.elapsed - 3 * evidence.merged.window_seconds, 1e9)
    p95 = recent.latency.get_value_at_percentile(95) / 1e6 if recent.requests else 0.0
    return (
        f"{max(0, evidence.elapsed):.0f} of {plan.profile.duration:.0f} s: {users} users from "
        f"{len(evidence.addresses) or 1} addresses, "
        f"{connections} connections, {total.requests} requests, {total.errors.total()} failed, "
        f"p95 {p95 * 1000:.0f} ms"
    )
