"""From what specs said to verdicts: killed only by the control's own spec, with the value."""

import json

import pytest

from connect_infra.drift.batches import batches, units
from connect_infra.drift.verdicts import Record, Report, Seen, judge, shows, verdict_of
from connect_infra.drift.ways import Drift, Way
from connect_infra.report.results import Result

SPEC = "specs/native/test_redis_cache.py::test_the_server_runs_with[redis-cache.timeout]"


def way(name="changed", kind="running", **more):
    given = {"make": "true", "landed": "true", "changes": {"redis-cache.timeout": "55"}}
    return Way(name=name, kind=kind, **(given | more))


def drift(control="redis-cache.timeout", the_way=None, value="55", shown=None):
    component = control.partition(".")[0]
    return Drift(control, component, the_way or way(), value, shown or value)


def seen(status="fail", found="55", control="redis-cache.timeout", said=""):
    message = f"{said}expected '0', found {found!r}" if status == "fail" else said
    return Seen(SPEC, Result(control, status, "0", found, message, 0.1))


def test_killed_by_its_own_spec_that_shows_the_value():
    record = judge(drift(), "", [seen("pass", "0"), seen()])
    assert (record.verdict, record.found, record.specs) == ("killed", "55", (SPEC,))
    assert record.message == "expected '0', found '55'"


@pytest.mark.parametrize(
    "others",
    [
        [seen("pass", "0")],
        [seen(control="redis-cache.port"), seen("pass", "0")],
        [seen(found="555")],
        [seen(found="0")],
        [seen("error", said="redis-cache: expected an answer, found nothing")],
    ],
)
def test_survived_when_its_own_spec_is_green_or_red_for_something_else(others):
    assert judge(drift(), "", others).verdict == "survived"


def test_the_expected_value_and_advice_are_no_evidence():
    advised = Seen(
        SPEC,
        Result(
            "redis-cache.timeout", "fail", "55", "x", "expected '55', found 'x' [E01: Use 55.]", 0.1
        ),
    )
    assert judge(drift(), "", [advised]).verdict == "survived"


def test_an_error_that_shows_the_value_kills():
    assert judge(drift(), "", [seen("error", said="found 55")]).verdict == "killed"


def test_void_when_it_did_not_land_or_nobody_looked():
    assert judge(drift(), "not seen on the host: exit code 1", [seen()]).verdict == "void"
    assert judge(drift(), "", []).verdict == "void"


@pytest.mark.parametrize(
    ("status", "verdict"), [("pass", "quiet"), ("fail", "alarm"), ("error", "alarm")]
)
def test_a_harmless_change(status, verdict):
    harmless = drift(the_way=way(kind="harmless"))
    assert judge(harmless, "", [seen(status)]).verdict == verdict


def test_a_value_is_shown_as_a_word_of_its_own():
    assert shows("found '7'", "7")
    assert not shows("found '77'", "7")
    assert shows("[::1]:80", "[::1]:80")


def record(verdict="killed", control="redis-cache.timeout", kind="running", specs=(SPEC,)):
    return Record(control, "changed", kind, verdict, "55", "", specs)


def report(*records, seed=None, specs=None):
    known = specs or {"redis-cache.timeout": (SPEC,)}
    return Report("lab", "2025-01-01T00:00:00+00:00", 1.0, 1, 0, seed, known, {}, records)


def test_a_report_is_well_when_all_is_killed():
    assert report(record()).ok
    assert not report(record(), record("survived")).ok
    assert not report(record(), record("void")).ok
    assert not report(record(), record("alarm", kind="harmless")).ok


def test_a_spec_that_was_never_red_is_named():
    other = SPEC.replace("runs_with", "listens")
    found = report(record(), specs={"redis-cache.timeout": (SPEC, other)})
    assert found.never_red == (other,)
    assert not found.ok
    assert report(record(), specs={"redis-cache.timeout": (SPEC, other)}, seed=3).ok


def test_a_control_has_its_worst_verdict():
    records = (record(), record("survived"), record("quiet", kind="harmless"))
    assert verdict_of("redis-cache.timeout", records) == "survived"


def test_the_json_has_the_documented_fields():
    data = json.loads(report(record(), record("quiet", kind="harmless")).to_json())
    assert data["counts"]["killed"] == 1
    assert [set(one) for one in data["controls"]] == [
        {"id", "drift", "kind", "verdict", "found", "message", "specs"}
    ]
    assert data["harmless"][0]["verdict"] == "quiet"


def test_drifts_of_a_way_share_a_unit_unless_they_disturb_each_other():
    two = [drift(the_way=(both := way())), drift("redis-cache.port", both)]
    assert [len(unit.drifts) for unit in units(two)] == [2]
    single = way(alone=True)
    assert len(units([drift(the_way=single), drift("redis-cache.port", single)])) == 2


def test_units_that_disturb_each_other_are_in_different_batches():
    disturbing = way("down", touches=("stack",))
    first, second = drift(the_way=disturbing), drift("stack.cache", way("other"))
    assert len(batches([first, second])) == 2
    assert len(batches([first, drift("redis-queue.timeout", way("other"))])) == 1


def test_intrusive_units_are_looked_at_by_themselves():
    intrusive = way("fill", intrusive=("test_it",))
    assert len(batches([drift(the_way=intrusive), drift("redis-queue.timeout", way("other"))])) == 2
