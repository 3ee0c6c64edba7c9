"""The nightly run's workflow: that it is one, and that its commands are ours."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from connect_infra.cli import app
from loadtests.profile import names

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ".venv/bin/connect-infra "


@pytest.fixture
def workflow() -> dict:
    return yaml.safe_load((ROOT / ".github/workflows/load.yml").read_text(encoding="utf-8"))


@pytest.fixture
def steps(workflow) -> list[dict]:
    return workflow["jobs"]["load"]["steps"]


def commands(steps) -> list[str]:
    """What the steps run, one command each, in order."""
    return [step["run"].strip() for step in steps if "run" in step]


def test_it_runs_every_night_on_a_machine_of_ones_own(workflow):
    triggers = workflow[True]  # YAML 1.1 reads `on` as a boolean; GitHub does not
    assert len(triggers["schedule"]) == 1
    assert re.fullmatch(r"\d+ \d+ \* \* \*", triggers["schedule"][0]["cron"])
    assert "workflow_dispatch" in triggers
    assert workflow["jobs"]["load"]["runs-on"] == ["self-hosted", "lab"]


def test_it_makes_what_make_load_makes_and_judges_regressions(steps):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^load: lab .*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe
    documented = recipe[1].replace("$(CONNECT_INFRA) ", COMMAND).split("\n\t")
    wanted = ["make lab", *(line.strip() for line in documented)]
    found = [one for one in commands(steps) if "smoke" not in one and "lab down" not in one]
    assert [one[: len(line)] for one, line in zip(found, wanted, strict=True)] == wanted
    assert found[-1].endswith("--fail-on-regression")
    smoke = f"{COMMAND}load run smoke --target lab"
    assert commands(steps).index(smoke) < commands(steps).index(found[-1])


def test_its_commands_are_commands(steps):
    ours = [one.removeprefix(COMMAND) for one in commands(steps) if one.startswith(COMMAND)]
    assert len(ours) == 4
    for one in ours:
        done = CliRunner().invoke(app, [*shlex.split(one), "--help"])
        assert done.exit_code == 0, done.output
    profiles = [shlex.split(one)[2] for one in ours if one.startswith("load run")]
    assert set(profiles) <= set(names())


def test_results_are_kept_and_the_lab_goes_down_also_after_a_failure(workflow, steps):
    kept = workflow["jobs"]["load"]["env"]["CONNECT_INFRA_LOAD"]
    (cache,) = [one for one in steps if one.get("uses", "").startswith("actions/cache@")]
    assert kept.endswith(f"/{cache['with']['path']}")
    (upload,) = [one for one in steps if one.get("uses", "").startswith("actions/upload-artifact@")]
    assert f"--json {upload['with']['path']}" in " ".join(commands(steps))
    assert upload["if"] == "always()"
    assert steps[-1] == {"if": "always()", "run": f"{COMMAND}lab down"}
