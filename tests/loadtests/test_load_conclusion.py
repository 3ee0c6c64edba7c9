"""From evidence to the document: what is measured, how it is judged, and that it survives JSON."""

import copy
import resource
from datetime import UTC, datetime

import pytest

from connect_infra.errors import LoadError
from connect_infra.targets import Target
from loadtests.baseline import compare
from loadtests.conclusion import run_of
from loadtests.evidence import Evidence
from loadtests.plan import Plan
from loadtests.profile import Profile, load_profile
from loadtests.recorder import Recorder
from loadtests.result import LoadRun
from loadtests.store import DOCUMENT, RESERVED_BYTES, Store

TARGET = Target(name="lab", host="127.0.0.1", lab=True, sizing="scaled", memory=8 << 30)

LOOK = {
    "established": {"443": 20, "6432": 12},
    "pgbouncer_servers": 8,
    "nginx_workers": [{"open": 100, "limit": 20000}, {"open": 400, "limit": 20000}],
    "cores": 2,
    "ticks": 100,
    "clock": 70.0,
    "busy": 1000,
    "cpu": {"nginx": 100, "node": 300, "postgresql": 200},
    "memory": {"used": 1 << 30, "total": 8 << 30},
    "oom_kills": 3,
    "units": {"nginx.service": [10, 0], "pgbouncer.service": [20, 1]},
    "node": ["30/1", "31/1"],
}
"""One look at a host, as `loadtests.host_side` prints it."""


def later(**changes):
    """The host ten seconds on: half a core was used by node."""
    look = copy.deepcopy(LOOK) | {"busy": 2800, "clock": 80.0}
    look["cpu"]["node"] += 500
    return look | changes


def profile(**more) -> Profile:
    return Profile.model_validate(
        load_profile("smoke").model_dump() | {"users": 20, "warmup": 5} | more
    )


def evidence_of(wanted: Profile, *, seconds=0.05, errors=0, end=True, look=None) -> Evidence:
    """A run in which every request took `seconds`, the last ones failed, and all was in order."""
    evidence = Evidence.of(Plan(profile=wanted, address="127.0.0.1", domain="x.test", lab=True))
    recorder = Recorder(evidence.merged.window_seconds)
    due, requests = 0.0, 0
    for step in wanted.steps:
        for n in range(int(step.rate * step.seconds)):
            recorder.record(due + n / step.rate, "home", seconds)
            recorder.record_lateness(due + n / step.rate, 0.001)
            requests += 1
        due += step.seconds
    for _ in range(errors):
        recorder.record(due - 1, "home", 0.1, "status 503")
    state = {
        "kind": "state",
        "users": wanted.users,
        "open": 20,
        "most_open": 20,
        "opened": wanted.users,
        "closed_by_server": 0,
        "in_flight": 0,
        "started": recorder.ended,
        "ended": recorder.ended,
        "memory_bytes": 100_000_000,
    }
    evidence.add({"kind": "begun", "at": 1000.0})
    for second in range(int(due) + 2):
        evidence.add(state | {"at": float(second), "cpu_seconds": 1 + 0.25 * second})
    for row in recorder.take():
        evidence.add(row)
    if end:
        evidence.add({"kind": "end", "requests": recorder.ended})
    # The second look was asked for late and answered at once: its own clock knows better.
    evidence.raws = [(1000.0, LOOK), (1008.0, look or later())]
    evidence.measures = {"evictions": 0.0, "queue_left": 0.0, "jobs_failed": 0.0}
    return evidence


def judged(wanted=None, **more) -> LoadRun:
    wanted = wanted or profile()
    return run_of(evidence_of(wanted, **more), TARGET, "20260101T000000Z-smoke-lab", processes=1)


def test_what_every_generator_has_told_of():
    """The states come each second, the requests less often, and workers not at the same time."""
    evidence = Evidence.of(Plan(profile=profile(), address="127.0.0.1", domain="x.test", lab=True))
    assert evidence.reported == 0
    for worker, at, reported in (("a", 6, 5), ("b", 4, 4), ("a", 9, 5), ("b", 7, 7)):
        evidence.add({"kind": "state", "worker": worker, "at": at, "reported": reported})
    assert (evidence.elapsed, evidence.reported) == (9, 5)


def test_addresses_that_workers_share_count_once():
    evidence = evidence_of(profile())
    for worker, addresses in (("a", ["10.0.0.1", "10.0.0.2"]), ("b", ["10.0.0.2", "10.0.0.3"])):
        evidence.add({"kind": "sources", "worker": worker, "addresses": addresses})
    run = run_of(evidence, TARGET, "20260101T000000Z-smoke-lab", processes=1)
    assert run.sources == 3


def test_a_sound_run_is_met():
    run = judged()
    assert run.verdict == "met", run.reasons
    assert run.requests == 833
    assert run.latency.p95 == pytest.approx(0.05, rel=0.01)
    assert run.generator.cpu_cores == pytest.approx(0.25)
    assert run.server.samples[1].cpu_by["node"] == pytest.approx(0.5)
    assert run.server.samples[1].cpu_cores == pytest.approx(1.8)
    assert run.server.resources[0].used == pytest.approx(0.9)
    assert [one.at for one in run.windows] == [0, 5, 10, 15, 20, 25]
    assert run.started == "1970-01-01T00:16:40+00:00"


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({"seconds": 1.5}, "missed", "p95: expected at most 1 s"),
        ({"errors": 1}, "missed", "error_rate: expected at most 0 %"),
        ({"end": False}, "invalid", "ended before its users had"),
        ({"look": later(oom_kills=4)}, "missed", "oom_kills"),
        ({"look": later(node=["31/1", "99/7"])}, "missed", "restarts"),
        ({"look": later(units=LOOK["units"] | {"nginx.service": [77, 1]})}, "missed", "restarts"),
        ({"look": later(memory={"used": 95, "total": 100})}, "missed", "memory"),
        ({"look": later(pgbouncer_servers=61)}, "missed", "pgbouncer_servers"),
    ],
)
def test_what_is_wrong_decides_the_verdict(changes, verdict, says):
    run = judged(**changes)
    assert run.verdict == verdict
    assert any(says in reason for reason in run.reasons), run.reasons


def test_failures_are_named_with_their_time():
    (failure,) = judged(errors=2).failures
    assert (failure.kind, failure.count, failure.first_at) == ("status 503", 2, 25.0)


def test_a_run_of_which_nothing_came_is_invalid_and_still_a_document():
    evidence = Evidence.of(Plan(profile=profile(), address="127.0.0.1", domain="x.test", lab=True))
    evidence.reasons.append("the site is down")
    run = run_of(evidence, TARGET, "20260101T000000Z-smoke-lab", processes=1)
    assert run.verdict == "invalid"
    assert run.reasons[0] == "the site is down"
    assert LoadRun.parse(run.to_json(), "here") == run


def test_results_are_kept_found_and_compared(tmp_path):
    store = Store(tmp_path)
    first = judged(seconds=0.05)
    second = judged(seconds=0.08).model_copy(update={"id": "20260102T000000Z-smoke-lab"})
    for run in (first, second):
        (tmp_path / run.id).mkdir()
        store.save(tmp_path / run.id, run)
    assert store.ids() == [first.id, second.id]
    assert store.load("latest") == second
    assert store.last_good(second) == first
    assert store.last_good(first) is None
    assert compare(first, second).regression
    assert not compare(first, first).regression
    assert not compare(second, first).regression


def test_runs_of_two_targets_are_not_compared():
    elsewhere = judged().model_copy(update={"target": "staging"})
    with pytest.raises(LoadError, match="lab and staging"):
        compare(judged(), elsewhere)


def test_only_good_runs_are_a_baseline(tmp_path):
    store = Store(tmp_path)
    bad = judged(errors=1)
    (tmp_path / bad.id).mkdir()
    store.save(tmp_path / bad.id, bad)
    assert store.last_good(judged().model_copy(update={"id": "20260102T000000Z-smoke-lab"})) is None


def test_a_run_that_is_not_there_is_an_error_with_the_place(tmp_path):
    with pytest.raises(LoadError, match="connect-infra load list"):
        Store(tmp_path).load("nothing")


def test_a_run_without_room_for_its_results_is_refused(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(LoadError, match="room for the results, found File too large"):
            Store(tmp_path).new("smoke", "lab", datetime.now(UTC))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_room_that_was_kept_is_given_back(tmp_path):
    store, run = Store(tmp_path), judged()
    path = store.new("smoke", "lab", datetime.now(UTC))
    assert sum(one.stat().st_blocks * 512 for one in path.iterdir()) >= RESERVED_BYTES
    store.save(path, run)
    store.save(path, run)
    assert [one.name for one in path.iterdir()] == [DOCUMENT]


def test_a_second_run_against_a_target_waits_for_nobody(tmp_path):
    first, second = Store(tmp_path).alone("lab"), Store(tmp_path).alone("lab")
    with first, pytest.raises(LoadError, match="another one"):
        second.__enter__()


def test_the_knee_is_the_last_step_that_held():
    steps = [{"rate": rate, "seconds": 10} for rate in (20, 40, 80)]
    knees = load_profile("capacity").model_dump() | {"users": 20, "steps": steps}
    evidence = evidence_of(Profile.model_validate(knees), errors=3)
    run = run_of(evidence, TARGET, "20260101T000000Z-capacity-lab", processes=1)
    assert run.knee is not None
    assert (run.knee.rate, run.knee.broken_at) == (40, 80)
    assert run.knee.broken == "3 requests failed"
    assert [one.broken for one in run.steps] == ["", "", "3 requests failed"]
    assert run.verdict == "met", run.reasons


def test_no_knee_without_a_step_that_broke():
    steps = [{"rate": rate, "seconds": 10} for rate in (20, 40)]
    knees = load_profile("capacity").model_dump() | {"users": 20, "steps": steps}
    run = run_of(
        evidence_of(Profile.model_validate(knees)), TARGET, "20260101T000000Z-x-lab", processes=1
    )
    assert run.verdict == "invalid"
    assert run.reasons == ("not observed: knee",)
