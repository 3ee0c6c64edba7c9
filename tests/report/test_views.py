"""What the page makes of results, before there is any HTML: groups, orders, verdicts, words."""

import dataclasses
import json
from datetime import datetime
from pathlib import Path

import pytest

from connect_infra import document
from connect_infra.errors import ObservationError
from connect_infra.report import messages
from connect_infra.report.page import (
    coverage,
    drift,
    drills,
    html,
    inputs,
    load,
    load_charts,
    parts,
    verification,
    words,
)
from connect_infra.report.page.drift import DriftRun
from connect_infra.report.page.drills import DrillRun
from connect_infra.report.page.load import LoadRun
from connect_infra.report.page.parts import Part
from connect_infra.report.results import Result, Run

DATA = Path(__file__).parent / "data"
KNOWN = document.load()


def result(control, status, **changed):
    values = {"expected": "a", "found": "b", "message": "", "seconds": 0.5, **changed}
    return Result(id=control, status=status, **values)


def run(*controls):
    return Run("lab", "native", "scaled", "2026-01-01T00:00:00+00:00", 1.5, 1, controls)


def rows(*controls):
    return verification.rows(run(*controls), KNOWN)


# --- verification -------------------------------------------------------------------------------


def test_controls_come_in_the_documents_order_and_unknown_ones_last():
    found = rows(result("gone.control", "pass"), result("ufw.reset", "pass"),
                 result("postgresql.work_mem", "pass"))  # fmt: skip
    assert [row.id for row in found] == ["postgresql.work_mem", "ufw.reset", "gone.control"]
    names = [component.name for component in verification.components(found)]
    assert names == ["postgresql", "ufw", verification.UNKNOWN]


def test_one_cause_is_one_trouble_and_failures_come_before_errors():
    advice = messages.advice(KNOWN.errata_in_force(["redis-queue.maxmemory"]))
    down = [result("redis-queue.bind", "error", message="refused"),
            result("redis-queue.maxmemory", "error", message=f"refused{advice}")]  # fmt: skip
    found = verification.troubles(rows(*down, result("pm2.exec_mode", "fail")))
    assert [trouble.status for trouble in found] == ["fail", "error"]
    assert [row.id for row in found[1].rows] == [one.id for one in down]


def test_expected_here_shows_only_where_it_differs_from_the_document():
    same, scaled = rows(
        result("redis-cache.port", "pass", expected="6379"),
        result("redis-cache.maxmemory", "pass", expected="960mb"),
    )
    assert same.expected_here is None
    assert (scaled.documented, scaled.expected_here) == ("15gb", "960mb")


def test_only_errata_in_force_are_listed_with_their_controls():
    found = verification.errata(rows(result("redis-cache.maxmemory", "pass")))
    assert [(erratum.id, [row.id for row in own]) for erratum, own in found] == [
        ("E06", ["redis-cache.maxmemory"])
    ]


@pytest.mark.parametrize(
    ("statuses", "verdict", "headline"),
    [
        (["pass"], "good", "lab is as documented"),
        (["pass", "waived"], "good", "lab is as documented, but for 1 waived control"),
        (["pass", "fail"], "bad", "lab is not as documented"),
        (["pass", "error"], "bad", "lab is not as documented"),
        (["not_applicable"], "bad", "Nothing was asserted"),
        ([], "bad", "Nothing was asserted"),
    ],
)
def test_a_verification_comes_to_a_verdict(statuses, verdict, headline):
    made = verification.part(run(*(result(f"pm2.{one}", one) for one in statuses)))
    assert (made.verdict, made.headline) == (verdict, headline)


# --- drift --------------------------------------------------------------------------------------


def drifted(*verdicts, harmless=(), **others):
    rows = [{"id": "pm2.max", "drift": "d", "verdict": one} for one in verdicts]
    quiet = [{"id": "pm2.max", "drift": "d", "verdict": one} for one in harmless]
    return DriftRun.model_validate({"controls": rows, "harmless": quiet} | others)


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        (drifted("killed", "killed", "impossible", harmless=["quiet"]), "good"),
        (drifted("killed", "survived"), "bad"),
        (drifted("killed", "void"), "bad"),
        (drifted("killed", harmless=["alarm"]), "bad"),
        (drifted("killed", specs_never_red=["a"]), "bad"),
        (drifted("killed", "impossible", ok=False), "bad"),
        (drifted("impossible"), "bad"),
        (drifted(), "bad"),
    ],
)
def test_drifts_come_to_a_verdict(report, verdict):
    assert drift.part(report).verdict == verdict


def test_a_control_has_the_worst_verdict_of_its_drifts():
    assert drift.by_control(drifted("killed", "void", "survived")) == {"pm2.max": "survived"}
    assert drift.by_control(drifted("killed", harmless=["quiet"])) == {"pm2.max": "killed"}


def test_a_drifts_message_is_shown_without_advice():
    message = "green" + messages.advice(KNOWN.errata_in_force(["redis-queue.maxmemory"]))
    row = {"id": "pm2.max", "drift": "d", "verdict": "survived", "message": message}
    (only,) = DriftRun.model_validate({"controls": [row]}).controls
    assert only.words == "green"


# --- coverage -----------------------------------------------------------------------------------


def covered(*missing):
    row = {
        "id": "pm2.max", "document": "A", "section": "3.4", "kind": "setting", "documented": "8",
        "provisioned": True, "specs": ["a"], "intrusive": [], "drift": "", "errata": [],
        "tests": [], "drills": [], "load": [],
    }  # fmt: skip
    rows = [row | {"missing": each} for each in missing]
    return inputs.recognised({"counts": {}, "rows": rows}, Path("coverage.json"))


@pytest.mark.parametrize(
    ("run", "verdict"),
    [(covered([]), "good"), (covered([], ["no spec"]), "bad"), (covered(), "bad")],
)
def test_coverage_comes_to_a_verdict(run, verdict):
    assert coverage.part(run).verdict == verdict


# --- load ---------------------------------------------------------------------------------------


def loaded(**changed):
    return LoadRun.model_validate(json.loads((DATA / "load.json").read_text()) | changed)


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({"verdict": "met"}, "good"),
        ({"verdict": "missed"}, "bad"),
        ({"verdict": "invalid"}, "unknown"),
        (
            {
                "verdict": "met",
                "comparison": {
                    "baseline": "before", "rule": "r", "changes": [], "regression": True,
                },
            },
            "bad",
        ),
    ],
)  # fmt: skip
def test_a_load_run_comes_to_a_verdict(changed, verdict):
    assert load.part(loaded(**changed), "load", "load-1").verdict == verdict


def test_runs_of_one_profile_are_told_apart_by_their_times():
    later = loaded(started="2026-11-26T15:30:00+00:00")
    assert load.names([loaded()]) == ["load (documented)"]
    assert load.names([loaded(), later]) == [
        "load (documented, 26 November 2026, 11:00 UTC)",
        "load (documented, 26 November 2026, 15:30 UTC)",
    ]


def test_a_load_run_is_drawn_as_far_as_it_was_observed():
    titles = [chart.title for chart in load_charts.charts(loaded())]
    assert {"Answers a second", "Latency by percentile", "Failed requests"} <= set(titles)
    server = loaded().server.model_dump() | {"samples": [], "series": []}
    assert load_charts.charts(loaded(windows=[], histogram="", server=server)) == ()


def test_a_missing_latency_is_a_gap_and_not_a_zero():
    windows = [each.model_dump() | {"p99": None} for each in loaded().windows]
    (latency,) = [
        chart
        for chart in load_charts.charts(loaded(windows=windows))
        if "Latency from" in chart.title
    ]
    assert latency.lines == ("p50", "p95")


# --- drills -------------------------------------------------------------------------------------


def journal(**changed):
    return json.loads((DATA / "drill_journal.json").read_text()) | changed


def drilled(*journals):
    return drills.shown([DrillRun.model_validate({"drills": journals})])


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["met", "met"], "good"),
        (["met", "unknown"], "unknown"),
        (["unknown", "missed"], "bad"),
        (["met", "not_restored"], "bad"),
    ],
)
def test_drills_come_to_a_verdict(verdicts, expected):
    made = [journal(verdict=one, drill=f"d{number}") for number, one in enumerate(verdicts)]
    assert drills.part(drilled(*made)).verdict == expected


def test_no_drill_at_all_is_no_success():
    assert drills.part(()).verdict == "bad"


def test_the_latest_run_of_a_drill_is_shown_and_those_before_make_the_trend():
    dates = ["2026-11-26", "2026-11-24", "2026-11-25"]
    (only,) = drilled(*(journal(started=f"{date}T02:00:00+00:00") for date in dates))
    assert only.drill.started.startswith("2026-11-26")
    assert [one.started[:10] for one in only.before] == ["2026-11-24", "2026-11-25"]
    assert only.trend is not None
    assert only.trend[0] == ["rto_jobs"]  # the others could not be measured


def test_without_probes_the_strip_shows_the_outages():
    (reads, *_) = DrillRun.model_validate({"drills": [journal()]}).drills[0].streams
    bare = reads.model_copy(update={"probes": ()})
    slots = drills.slots_of(bare)
    assert [slot.state for slot in slots].count("bad") == len(reads.outages)
    assert slots[-1].end == pytest.approx(reads.slots * reads.interval)


def test_writes_without_a_final_read_are_not_counted_as_kept():
    ledgers = [each | {"final_read": False} for each in journal()["ledgers"]]
    (only,) = drilled(journal(ledgers=ledgers))
    assert only.drill.lost is None
    assert "not known" in drills.part((only,)).detail


# --- all together -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdicts", "headline"),
    [
        (["good", "good"], "All holds: p0 and p1"),
        (["good", "bad", "unknown"], "Does not hold: p1"),
        (["good", "unknown"], "Not known: p1"),
    ],
)
def test_the_worst_verdict_gives_the_heading(verdicts, headline):
    made = [Part("a", f"p{at}", one, "h", "d") for at, one in enumerate(verdicts)]
    assert parts.headline(made) == headline


def test_two_verifications_have_no_place_on_one_page():
    one = run(result("pm2.max", "pass"))
    with pytest.raises(ObservationError, match="one verification"):
        html.page([one, dataclasses.replace(one)], datetime(2026, 1, 1))


def test_text_that_is_no_date_is_left_as_it_is():
    assert words.moment("yesterday") == "yesterday"
    assert words.moment("2026-11-26T12:34:56+02:00") == "26 November 2026, 10:34 UTC"
