"""Coverage: every row of the documents once, what is open in words, the uncovered first."""

import json
import subprocess
import sys

import pytest

from connect_infra import document
from connect_infra.cli.provisioned import OTHERWISE, provisioned
from connect_infra.errors import ObservationError
from connect_infra.report import coverage
from connect_infra.report.coverage import Evidence

WORK_MEM = "postgresql.work_mem"
SPEC = "specs/native/test_postgresql.py::test_the_server_runs_with[postgresql.work_mem]"


def evidence(**more):
    nothing = {
        **{name: {} for name in ("looking", "everything", "drills", "load")},
        "provisioned": (),
        "drift": None,
    }
    return Evidence(**(nothing | more))


def row(name, **more):
    rows = coverage.rows([(document.load(), evidence(**more))])
    return next(one for one in rows if one.id == name)


def test_every_row_of_the_documents_is_there_once():
    rows = coverage.rows([(document.load(), evidence())])
    assert sorted(one.id for one in rows) == sorted(document.load().controls)


def test_a_setting_without_anything_says_what_is_missing():
    assert row(WORK_MEM).missing == ("not provisioned", "no spec")
    assert row(WORK_MEM, drift={}).missing[-1] == "drift not tried"


def test_a_setting_that_is_provisioned_asserted_and_noticed_is_covered():
    specs = {WORK_MEM: [SPEC]}
    found = row(
        WORK_MEM,
        provisioned={WORK_MEM},
        looking=specs,
        everything=specs,
        drift={WORK_MEM: "killed"},
    )
    assert (found.covered, found.missing, found.specs, found.intrusive) == (True, (), (SPEC,), ())


@pytest.mark.parametrize("verdict", ["survived", "void"])
def test_a_drift_that_nobody_noticed_is_open(verdict):
    assert f"drift {verdict}" in row(WORK_MEM, drift={WORK_MEM: verdict}).missing


def test_what_the_lab_cant_show_needs_no_drift():
    found = row("host.os", everything={"host.os": ["x"]}, drift={})
    assert (found.drift, found.missing) == ("not applicable", ())


def test_what_is_not_provisioned_by_us_is_not_missed_there():
    assert row(WORK_MEM, provisioned=None).missing == ("no spec",)


def test_an_objective_needs_a_load_profile_and_a_procedure_a_drill_or_a_test():
    assert row("capacity.api_requests").missing == ("no load profile",)
    assert row("capacity.api_requests", load={"capacity.api_requests": ["hour"]}).covered
    diagnosis = "operations.troubleshooting"  # the one procedure without an erratum's test
    assert row(diagnosis).missing == ("no drill and no test",)
    assert row(diagnosis, drills={diagnosis: ["slow"]}).covered
    assert row("recovery.system_backup").covered


def test_the_uncovered_stand_first():
    rows = coverage.rows([(document.load(), evidence(load={"capacity.api_requests": ["hour"]}))])
    covered = [one.covered for one in rows]
    assert covered == sorted(covered)
    assert True in covered


def test_a_controls_worst_verdict_counts(tmp_path):
    report = tmp_path / "drift.json"
    records = [("a", "killed"), ("a", "survived"), ("b", "killed"), ("b", "void"), ("c", "killed")]
    controls = [{"id": name, "verdict": verdict} for name, verdict in records]
    report.write_text(json.dumps({"controls": controls}))
    verdicts = coverage.drift_verdicts(report)
    assert verdicts == {"a": "survived", "b": "void", "c": "killed"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"controls": [1]}'])
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(ObservationError, match="a report of connect-infra drift"):
        coverage.drift_verdicts(tmp_path / "odd.json")


def test_provisioning_brings_all_settings_and_nothing_of_the_machine():
    controls = document.load().controls.values()
    settings = {one.id for one in controls if one.kind in {"setting", "behaviour"}}
    assert settings - provisioned() == set()
    assert {one.id for one in controls if one.kind not in {"setting", "behaviour"}} & (
        provisioned()
    ) == set()
    assert set(OTHERWISE) <= settings


def test_the_command_prints_every_row():
    program = "from connect_infra.cli import main; main()"
    command = [sys.executable, "-c", program, "coverage", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    data = json.loads(done.stdout)
    both = [*document.load().controls, *document.load("containers").controls]
    assert sorted(one["id"] for one in data["rows"]) == sorted(both)
    by_id = {one["id"]: one for one in data["rows"]}
    assert SPEC in by_id[WORK_MEM]["specs"]
    assert by_id["postgresql.archive_command"]["errata"] == ["E01", "E02"]
    assert done.returncode == (0 if data["counts"]["covered"] == data["counts"]["rows"] else 1)
