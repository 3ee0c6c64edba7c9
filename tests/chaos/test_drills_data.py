"""The drills' data: every drill can fail, names what it proves, and its scripts are sh."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chaos import drills
from chaos.drills import FILES, DrillError, find
from chaos.faults import KINDS, MACHINE, PRELUDE
from connect_infra import document

EVERY = [drill for topology in FILES for drill in drills.load(topology)]

CLI = Path(sys.executable).with_name("connect-infra")


def test_every_drill_has_an_objective_that_can_be_missed():
    for drill in EVERY:
        limits = [one for one in drill.promised() if one.at_most < 600 or one.at_least > 0]
        assert limits, drill.name
        assert all(one.source for one in drill.promised()), drill.name


def test_every_control_that_a_drill_names_is_documented():
    for drill in EVERY:
        assert set(drill.controls) <= set(document.load(drill.topology).controls), drill.name


def test_every_name_is_one_drill_s():
    assert len({drill.name for drill in EVERY}) == len(EVERY)


def test_every_kind_of_fault_is_used():
    used = {kind for drill in EVERY for kind, _ in drill.kinds}
    assert used - set(MACHINE) == set(KINDS)


@pytest.mark.parametrize("drill", EVERY, ids=lambda drill: drill.name)
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


@pytest.mark.parametrize("topology", FILES)
def test_the_list_as_json(topology):
    command = [CLI, "drill", "list", "--topology", topology, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    listed = json.loads(done.stdout)["drills"]
    assert [one["name"] for one in listed] == [drill.name for drill in drills.load(topology)]
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
        drills.read(path)
