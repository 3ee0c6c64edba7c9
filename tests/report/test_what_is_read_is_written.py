"""What load runs and drills write, the page reads, whatever their values: no field is lost.

The page has models of its own, of what it shows and nothing else: it and those who write the files
know nothing of each other, and a file may come from another version than the page.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from chaos.journal import Journal
from connect_infra.drift.verdicts import Record, Report
from connect_infra.report.page import inputs
from connect_infra.report.page.drills import DrillRun
from connect_infra.report.page.load import LoadRun as ShownRun
from loadtests.profile import load_profile
from loadtests.result import LoadRun

FILE = Path("results.json")

JOURNALS = st.from_type(Journal)
RUNS = st.builds(LoadRun, profile=st.just(load_profile("smoke")), histogram=st.just(""))

PLAIN = settings(max_examples=50, deadline=None, derandomize=True, phases=[Phase.generate])
"""Values do not matter here: making a failing example smaller would take minutes."""


def is_part_of(read, written):
    """Whether all that was read stands, with its value, in what was written."""
    if isinstance(read, Mapping):
        return all(key in written and is_part_of(read[key], written[key]) for key in read)
    if isinstance(read, (list, tuple)):
        return len(read) == len(written) and all(map(is_part_of, read, written))
    return read == written or read != read  # the latter is NaN


@PLAIN
@given(JOURNALS)
def test_what_a_drill_writes_is_read(journal):
    written = journal.model_dump()
    run = inputs.recognised(written, FILE)
    assert isinstance(run, DrillRun)
    assert is_part_of(run.drills[0].model_dump(), written)


@PLAIN
@given(RUNS)
def test_what_a_load_run_writes_is_read(result):
    written = result.model_dump()
    run = inputs.recognised(written, FILE)
    assert isinstance(run, ShownRun)
    assert is_part_of(run.model_dump(), written)


@pytest.mark.parametrize(
    "written", [{"begun": 1.0, "probes": []}, {"at": 1.0}, {"at": 1.0, "probes": [2]}, {"at": None}]
)
def test_a_field_that_is_not_written_is_noticed(written):
    assert not is_part_of({"at": 1.0, "probes": ()}, written)


def test_a_drift_report_is_read_with_its_harmless_changes(tmp_path):
    records = (
        Record("pm2.max", "another number", "running", "killed", "9", "found '9'", ("a",)),
        Record("pm2.max", "a comment", "harmless", "quiet", "# x", ""),
    )
    report = Report(
        target="lab", started="2026-11-26T11:00:00+00:00", seconds=3.5, hosts=2, replaced=0,
        seed=None, specs={"pm2.max": ("a", "b")}, spared={}, records=records,
    )  # fmt: skip
    path = tmp_path / "drift.json"
    path.write_text(report.to_json())
    run = inputs.load(path)
    assert [each.verdict for each in run.drifts] == ["killed", "quiet"]
    assert (run.seed, run.hosts, run.specs_never_red) == (None, 2, ("b",))
