"""Drills on a Docker host: the quickest that tell most, and every fault without any load."""

import time

import pytest

from chaos import drills, watchdog
from chaos.faults import PRELUDE
from chaos.run import run
from tests.lab.containers import wait_for_containers

pytestmark = pytest.mark.long

LEAVES_BY_ITSELF = ("container_killed", "haproxy_reloaded", "replica_lost")
"""The host recovers from these alone, so they may be healed before they are undone."""

DRILLS = drills.load("containers")


@pytest.mark.parametrize("name", [one.name for one in DRILLS if "short" in one.tags])
def test_a_drill_is_met(docker_host, tmp_path, name):
    journal = run(docker_host.target(), drills.find(name), tmp_path, print)
    assert journal.verdict == "met", journal.reasons
    writes = next(one for one in journal.ledgers if one.name == "writes")
    assert writes.attempted >= 50 * 6
    assert writes.read >= writes.acknowledged
    wait_for_containers(docker_host)


def faults():
    """One of each distinct fault, named by the first drill that makes it."""
    seen = {}
    for drill in DRILLS:
        for number, (fault, kind) in enumerate(zip(drill.faults(), drill.kinds, strict=True)):
            if not fault.machine and not fault.version:
                seen.setdefault(fault, pytest.param(fault, kind[0], id=f"{drill.name}-{number}"))
    return list(seen.values())


def sh(host, script, limit=60):
    return host.exec(PRELUDE + script, limit)


def soon(host, script, limit=90):
    until = time.monotonic() + limit
    while (done := sh(host, script))[0] != 0:
        assert time.monotonic() < until, done[1]
        time.sleep(0.3)


@pytest.fixture
def room(docker_host):
    """The drill's directory, as a lease makes it; all containers are healthy before and after."""
    wait_for_containers(docker_host)
    sh(docker_host, f"mkdir -p {watchdog.HOME}")
    yield
    sh(docker_host, f"rm -rf {watchdog.HOME}")
    wait_for_containers(docker_host)


@pytest.mark.parametrize(("fault", "kind"), faults())
def test_a_fault_is_seen_when_it_is_there_and_gone_when_it_is_undone(
    docker_host, room, fault, kind
):
    assert sh(docker_host, fault.happened)[0] != 0, "seen before it was made"
    for script in (fault.prepare, fault.inject):
        code, output = sh(docker_host, script, 120)
        assert code == 0, output
    soon(docker_host, fault.happened, 10)
    if kind not in LEAVES_BY_ITSELF:
        assert sh(docker_host, fault.healed)[0] != 0, "healed before it was undone"
    for _ in range(2):
        code, output = sh(docker_host, fault.undo, 120)
        assert code == 0, output
        soon(docker_host, fault.healed)


def test_a_host_whose_engine_has_frozen_a_container_can_be_removed(docker_host, lab):
    """Nothing ends a frozen process. The last test of this module: it takes the host away."""
    code, output = sh(docker_host, "docker pause connect_app2")
    assert code == 0, output
    docker_host.remove()
    assert lab.find(docker_host.name) is None
