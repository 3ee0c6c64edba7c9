"""The drills' data: every drill can fail, names what it proves, and its scripts are sh."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chaos import drills
from chaos.drills import DrillError, find, load
from chaos.faults import KINDS, MACHINE, PRELUDE
from connect_infra import document

CLI = Path(sys.executable).with_name("connect-infra")


def test_every_drill_has_an_objective_that_can_be_missed():
    for drill in load():
        limits = [one for one in drill.promised() if one.at_most < 600 or one.at_least > 0]
        assert limits, drill.name
        assert all(one.source for one in drill.promised()), drill.name


def test_every_control_that_a_drill_names_is_documented():
    known = set(document.load().controls)
    for drill in load():
        assert set(drill.controls) <= known, drill.name


def test_every_kind_of_fault_is_used():
    used = {kind for drill in load() for kind, _ in drill.kinds}
    assert used - set(MACHINE) == set(KINDS)


@pytest.mark.parametrize("drill", load(), ids=lambda drill: drill.name)
def test_scripts_are_sh_and_undo_what_they_do(drill):
    for fault in drill.faults():
        for script in (fault.prepare, fault.inject, fault.happened, fault.undo, fault.healed):
            done = subprocess.run(
                ["sh", "-n"], input=PRELUDE + script, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        if not fault.machine:
            assert ":" not in (fault.inject, fault.happened, fault.undo, fault.healed)


def test_an_unknown_drill_is_one_line_with_the_known_ones():
    with pytest.raises(DrillError, match="postgres-killed"):
        find("nonsense")
    done = subprocess.run(
        [CLI, "drill", "run", "nonsense"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_the_list_as_json():
    done = subprocess.run(
        [CLI, "drill", "list", "--json"], capture_output=True, text=True, check=True
    )
    listed = json.loads(done.stdout)["drills"]
    assert [one["name"] for one in listed] == [drill.name for drill in load()]
    assert all(one["objective"] for one in listed)


HEAD = '[processes]\n[promise.p]\nsource = "x"\nlimits = { lost_writes = 0 }\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[drill]]\nname = "a"\ntitle = "b"\n', "could not fail"),
        ('[[drill]]\nname = "a"\ntitle = "b"\nobjectives = { speed_reads = 1 }\n', "speed_reads"),
        ('[[drill]]\nname = "a"\ntitle = "b"\npromises = ["q"]\n', "q"),
        ('[[drill]]\nname = "A b"\ntitle = "b"\npromises = ["p"]\n', "name"),
        ('[[drill]]\nname = "a"\ntitle = "b"\npromises = ["p"]\nfaults = [{ kind = "x" }]', "x"),
        ('[[drill]]\nname = "a"\ntitle = "b"\npromises = ["p"]\nhold = -1\n', "hold"),
    ],
)
def test_wrong_data_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "drills.toml"
    path.write_text(HEAD + text)
    with pytest.raises(DrillError, match=message):
        drills.load(path)
