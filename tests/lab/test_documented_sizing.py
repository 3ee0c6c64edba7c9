"""The documents' exact sizes on a lab host: they come up where the kernel promises enough."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from connect_infra.document import load
from connect_infra.errors import LabError
from connect_infra.lab.hosts import OVERCOMMIT
from provisioning import provision

SPECS = Path(__file__).resolve().parents[2] / "specs"


@pytest.fixture
def overcommit():
    """Set this machine's vm.overcommit_memory; it is set back at the end."""
    before = OVERCOMMIT.read_text(encoding="ascii")
    yield OVERCOMMIT.write_text
    OVERCOMMIT.write_text(before)


def test_a_kernel_that_does_not_promise_more_than_it_has_is_named(lab, overcommit):
    overcommit("0")
    with pytest.raises(LabError, match=r"vm.overcommit_memory = 1 .* found 0; run: sysctl -w"):
        lab.up("documented", sizing="documented")
    assert lab.find("documented") is None


@pytest.mark.long
def test_the_exact_sizes_are_in_force(lab, overcommit, tmp_path):
    overcommit("1")
    host = lab.up("documented", sizing="documented")
    try:
        with pytest.raises(LabError, match="one of sizing documented that is up"):
            lab.up("documented")
        provision(host.target(), print)
        results = tmp_path / "results.json"
        options = [f"--target={host.target_name}", f"--results={results}"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", SPECS, *options],
            env={**os.environ, "CONNECT_INFRA_STATE": str(lab.state)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-3000:]
        run = json.loads(results.read_text())
    finally:
        host.remove()
    assert run["sizing"] == "documented"
    scaled = {name: one for name, one in load().controls.items() if one.scaled}
    shown = {one["id"]: one for one in run["controls"] if one["id"] in scaled}
    assert {name: one["status"] for name, one in shown.items()} == dict.fromkeys(scaled, "pass")
    assert {name: one["expected"] for name, one in shown.items()} == {
        name: one.documented for name, one in scaled.items()
    }
