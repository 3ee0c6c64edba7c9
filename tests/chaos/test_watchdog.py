"""The watchdog, run for real on this machine with its directories somewhere else."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaos import watchdog

RUN = """
import sys
from chaos import watchdog
home = sys.argv.pop(1)
for name in ("HOME", "LEASE", "UNDO", "LOCK", "HEALED", "UNIT_FILE", "PROGRAM"):
    setattr(watchdog, name, getattr(watchdog, name).replace("/var/lib/connect-infra", home)
            .replace("/etc/systemd/system", home))
watchdog.TICK_SECONDS = 0.05
sys.exit(watchdog.main())
"""


class Drill:
    def __init__(self, home):
        self.home = home / "drill"
        (self.home / "undo").mkdir(parents=True)
        self.root = home

    def lease(self, ttl, count=0):
        (self.home / "lease").write_text(json.dumps({"ttl": ttl, "count": count}))

    def undo(self, name, script):
        (self.home / "undo" / name).write_text(script)

    def start(self, what="watch"):
        return subprocess.Popen(
            [sys.executable, "-c", RUN, str(self.root), what], cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip


@pytest.fixture
def drill(tmp_path):
    return Drill(tmp_path)


def wait_for(condition, limit=10.0):
    until = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_lease_that_runs_out_is_healed_newest_first_and_nothing_stays(drill):
    drill.lease(0.3)
    drill.undo("01", f"echo one >>{drill.root}/log")
    drill.undo("02", f"echo two >>{drill.root}/log")
    process = drill.start()
    assert process.wait(10) == 0
    assert (drill.root / "log").read_text() == "two\none\n"
    assert not drill.home.exists()
    assert json.loads((drill.root / "drill-healed.json").read_text())["failed"] == []


def test_a_lease_that_is_renewed_is_left_alone(drill):
    drill.lease(1.0)
    drill.undo("01", f"touch {drill.root}/undone")
    process = drill.start()
    for count in range(8):
        time.sleep(0.3)
        drill.lease(1.0, count + 1)
    assert not (drill.root / "undone").exists()
    wait_for((drill.root / "undone").exists)
    assert process.wait(10) == 0


def test_an_undo_that_fails_is_tried_until_it_works(drill):
    drill.lease(0.1)
    drill.undo("01", f"test -e {drill.root}/now")
    process = drill.start()
    wait_for((drill.root / "drill-healed.json").exists)
    time.sleep(0.3)
    assert drill.home.exists()
    (drill.root / "now").touch()
    assert process.wait(10) == 0
    assert not drill.home.exists()


def test_a_lease_that_was_cut_off_while_written_still_runs_out():
    assert watchdog.ttl_of('{"ttl": 5') == watchdog.TTL_SECONDS
    assert watchdog.ttl_of("") == watchdog.TTL_SECONDS
    assert watchdog.ttl_of('{"ttl": 5}') == 5.0


def test_healing_says_what_could_not_be_undone_and_keeps_it(drill):
    drill.undo("01", "echo no such thing >&2; exit 1")
    drill.undo("02", "true")
    output, _ = drill.start("heal").communicate(timeout=10)
    assert json.loads(output) == ["01: no such thing"]
    assert os.listdir(drill.home / "undo") == ["01"]
