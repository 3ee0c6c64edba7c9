"""The page's own models of load runs, drills and drifts name only what those really write."""

import types
from typing import get_args, get_origin

import pytest
from pydantic import BaseModel

import chaos.journal
import loadtests.result
from connect_infra.drift.verdicts import Record, Report
from connect_infra.report.page import drills, inputs, load


def models_in(annotation):
    """The models that a field's type speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is None and not isinstance(annotation, types.UnionType):
        return []
    return [model for part in get_args(annotation) for model in models_in(part)]


def unwritten(read, written, where=""):
    """The fields that `read` has and `written` has not, in them and in their parts."""
    missing = [f"{where}{name}" for name in read.model_fields if name not in written.model_fields]
    for name in read.model_fields.keys() & written.model_fields.keys():
        ours = models_in(read.model_fields[name].annotation)
        theirs = models_in(written.model_fields[name].annotation)
        for model, other in zip(ours, theirs, strict=True):
            missing += unwritten(model, other, f"{where}{name}.")
    return missing


@pytest.mark.parametrize(
    ("read", "written"),
    [(load.LoadRun, loadtests.result.LoadRun), (drills.Drill, chaos.journal.Journal)],
)
def test_every_field_that_is_read_is_written(read, written):
    assert unwritten(read, written) == []


def test_a_field_that_nobody_writes_is_noticed():
    class Renamed(chaos.journal.Event):
        where: str

    assert unwritten(Renamed, chaos.journal.Event) == ["where"]


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
