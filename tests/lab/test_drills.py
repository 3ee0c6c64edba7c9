"""Drills on a lab host: one at a time, one that measures, and a controller that is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaos import drills, guards, watchdog
from chaos.faults.images import IMAGES
from chaos.host import Host
from chaos.journal import load
from chaos.lease import Lease, LeaseError
from chaos.run import run
from chaos.steady import look
from connect_infra.errors import GuardError
from connect_infra.web import Site

ROOT = Path(__file__).resolve().parents[2]

CONTROLLER = """
import sys
from pathlib import Path
from chaos import drills, run
from connect_infra.targets import load_inventory
run.TTL = float(sys.argv[3])
run.run(load_inventory(None).target("lab"), drills.find(sys.argv[1]), Path(sys.argv[2]),
        lambda text: print(text, flush=True))
"""

STEPS = (
    "the host is ours",
    "the undo is on",
    "preparing the host",
    "reads, writes and jobs",
    "fault:",
    "it is there",
    "all is well",
)


def start_controller(drill, home, ttl):
    return subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, drill, str(home), str(ttl)],
        cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def kill_at(step, drill, home, ttl=6):
    """Start a drill and kill its controller as soon as it says that it has come to `step`."""
    controller = start_controller(drill, home, ttl)
    said = []
    for line in controller.stdout:
        said.append(line)
        if step in line:
            os.kill(controller.pid, signal.SIGKILL)
            break
    controller.communicate()
    assert any(step in line for line in said), "".join(said)


def await_healed(host, limit=90):
    """Until the watchdog has given the host free; how many seconds that took."""
    begun = time.monotonic()
    while host.exec(f"test -e {watchdog.HOME}")[0] == 0:
        assert time.monotonic() - begun < limit, host.exec(f"cat {watchdog.HEALED}")[1]
        time.sleep(0.5)
    return time.monotonic() - begun


def assert_as_before(host):
    """Nothing of the drill is left, and the host is steady."""
    target = host.target()
    until = time.monotonic() + 60
    while (troubles := look(Host(target), Site(target))[0]) and time.monotonic() < until:
        time.sleep(1)
    assert troubles == []
    files = f"{watchdog.HOME} {watchdog.PROGRAM} {watchdog.UNIT_FILE} {IMAGES}"
    _, output = host.exec(f"ls -d {files} 2>/dev/null; iptables-save 2>/dev/null | grep -c drill")
    assert output.strip() == "0"


@pytest.mark.parametrize("name", ["cache-dead", "postgres-killed"])
def test_a_drill_measures_and_keeps_its_journal(host, tmp_path, name):
    journal = run(host.target(), drills.find(name), tmp_path, print)
    assert journal.verdict == "met", journal.reasons
    (kept,) = tmp_path.glob(f"*-{name}/journal.json")
    assert load(kept) == journal
    writes = next(one for one in journal.ledgers if one.name == "writes")
    assert writes.attempted >= 50 * 8
    assert writes.read >= writes.acknowledged
    assert [one.kind for one in journal.events][:3] == ["begun", "fault", "verified"]
    assert_as_before(host)


def test_no_two_drills_at_once(host):
    way = Host(host.target())
    with Lease(way, 20):
        with pytest.raises(LeaseError, match="process"), Lease(Host(host.target()), 20):
            pass
        assert host.exec(f"test -e {watchdog.LEASE}")[0] == 0
    assert_as_before(host)


def test_a_killed_controller_leaves_a_healed_host(host, tmp_path):
    kill_at("it is there", "cache-frozen", tmp_path)
    frozen = "sed 's/.*) //' /proc/$(systemctl show -p MainPID --value redis-cache)/stat"
    assert host.exec(frozen)[1].startswith("T")
    assert await_healed(host) < 20
    assert_as_before(host)
    healed = json.loads(host.exec(f"cat {watchdog.HEALED}")[1])
    assert healed["failed"] == []


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_a_controller_may_be_killed_at_every_step(host, tmp_path, step):
    """In the drill that does most to a host: it moves the data directory and cuts its power."""
    kill_at(step, "postgres-power-cut", tmp_path)
    await_healed(host)
    assert_as_before(host)


@pytest.mark.long
def test_a_killed_watchdog_comes_back_and_heals(host, tmp_path):
    kill_at("it is there", "cache-frozen", tmp_path)
    host.exec(f"systemctl kill -s KILL {watchdog.UNIT}")
    await_healed(host)
    assert_as_before(host)


@pytest.mark.long
def test_a_host_that_reboots_during_a_drill_heals_itself(host, tmp_path):
    kill_at("it is there", "network-cut", tmp_path)
    host.reboot()
    await_healed(host)
    assert_as_before(host)


def test_no_drill_where_the_inventory_does_not_allow_it(host):
    drill = drills.find("cache-dead")
    target = host.target()
    refused = target.model_copy(
        update={"guards": target.guards.model_copy(update={"drills": False})}
    )
    with pytest.raises(GuardError, match=r"guards\.drills"):
        guards.require(refused, drill, "")
    guards.require(target, drill, "")


def test_production_needs_its_name_and_takes_no_drill_that_moves_data(host):
    target = host.target().model_copy(
        update={"production": True, "lab": False, "name": "production"}
    )
    drill = drills.find("cache-dead")
    for typed in ("", "lab"):
        with pytest.raises(GuardError, match="name typed out"):
            guards.require(target, drill, typed)
    guards.require(target, drill, "production")
    with pytest.raises(GuardError, match="which is not"):
        guards.require(target, drills.find("postgres-power-cut"), "production")


@pytest.mark.parametrize("address", ["203.0.113.10", "127.0.0.1"])
def test_no_fault_for_an_address_that_is_not_the_lab_s(host, address):
    target = host.target().model_copy(update={"host": address})
    with pytest.raises(GuardError, match="a host that this lab runs"):
        guards.require(target, drills.find("cache-dead"), "")
