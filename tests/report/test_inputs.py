"""Result files: told by their content, and refused in one line when they are none."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_infra.errors import ObservationError
from connect_infra.report.page import inputs
from connect_infra.report.page.coverage import CoverageRun
from connect_infra.report.page.drift import DriftRun
from connect_infra.report.page.drills import DrillRun
from connect_infra.report.page.load import LoadRun
from connect_infra.report.results import Run

DATA = Path(__file__).parent / "data"


def in_file(tmp_path, data):
    path = tmp_path / "some.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("verify_ok", Run),
        ("drift", DriftRun),
        ("coverage", CoverageRun),
        ("load", LoadRun),
        ("drill_journal", DrillRun),
    ],
)
def test_the_content_says_what_a_file_is(name, kind):
    assert isinstance(inputs.load(DATA / f"{name}.json"), kind)


def test_the_least_that_the_drift_command_promises_is_enough(tmp_path):
    row = {"id": "pm2.max", "drift": "9", "verdict": "killed", "found": "9", "message": "red"}
    run = inputs.load(in_file(tmp_path, {"controls": [row]}))
    assert [each.verdict for each in run.controls] == ["killed"]


def test_drills_may_come_together_and_without_their_probes(tmp_path):
    journal = json.loads((DATA / "drill_journal.json").read_text())
    for stream in journal["streams"]:
        del stream["probes"]
    run = inputs.load(in_file(tmp_path, {"drills": [journal, journal]}))
    assert [drill.drill for drill in run.drills] == ["postgres-killed"] * 2


@pytest.mark.parametrize(
    "data",
    ["", "no JSON", "[]", "null", "7", "{}", {"name": "other"}, {"drills": 7}],
    ids=str,
)
def test_what_is_none_is_one_line_that_names_the_file(tmp_path, data):
    path = in_file(tmp_path, data)
    with pytest.raises(ObservationError, match=r"expected .*, found .*") as caught:
        inputs.load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_damaged_file_names_the_field(tmp_path):
    data = json.loads((DATA / "verify_ok.json").read_text())
    data["controls"][3]["status"] = "splendid"
    with pytest.raises(ObservationError, match=r"controls\.3\.status.*'splendid'"):
        inputs.load(in_file(tmp_path, data))


@pytest.mark.parametrize("histogram", ["x", "AAAA", "é", "HISTFAAAAB"])
def test_a_damaged_histogram_is_one_line_too(tmp_path, histogram):
    data = json.loads((DATA / "load.json").read_text()) | {"histogram": histogram}
    with pytest.raises(ObservationError, match="histogram: expected an encoded HdrHistogram"):
        inputs.load(in_file(tmp_path, data))


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(ObservationError, match="No such file"):
        inputs.load(tmp_path / "gone.json")


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["controls", "topology", "drills", "drill", "events", "profile",
                         "windows"]) | st.text(max_size=3), inner, max_size=5))))  # fmt: skip
def test_junk_is_refused_and_nothing_else_happens(data):
    try:
        found = inputs.recognised(data, Path("junk.json"))
    except ObservationError:
        return
    assert isinstance(found, (DriftRun, DrillRun))  # {"controls": []} is an empty drift run
