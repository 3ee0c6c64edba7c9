"""Every fault on a lab host, without any load: it is seen when it is there, and only then."""

import threading
import time

import pytest

from chaos import drills, machine, watchdog
from chaos.faults import PRELUDE
from chaos.host import Host
from connect_infra.facts.units import SERVICES

LEAVES_BY_ITSELF = ("kill", "out_of_memory", "power_cut")
"""The host recovers from these alone, so they may be healed before they are undone."""


def faults():
    """One of each distinct fault, named by the first drill that makes it."""
    seen = {}
    for drill in drills.load():
        for number, (fault, kind) in enumerate(zip(drill.faults(), drill.kinds, strict=True)):
            if not fault.machine:
                seen.setdefault(fault, pytest.param(fault, kind[0], id=f"{drill.name}-{number}"))
    return list(seen.values())


def sh(host, script, limit=60):
    return host.exec(PRELUDE + script, limit)


def soon(host, script, limit=20):
    until = time.monotonic() + limit
    while (done := sh(host, script))[0] != 0:
        assert time.monotonic() < until, done[1]
        time.sleep(0.3)


@pytest.fixture
def room(host):
    """The drill's directory, as a lease makes it; the platform runs before and after."""
    running = f"systemctl is-active {' '.join(SERVICES)}"
    soon(host, running)
    sh(host, f"mkdir -p {watchdog.HOME}")
    yield
    sh(host, f"rm -rf {watchdog.HOME}")
    soon(host, running)


@pytest.mark.long
@pytest.mark.parametrize(("fault", "kind"), faults())
def test_a_fault_is_seen_when_it_is_there_and_gone_when_it_is_undone(host, room, fault, kind):
    code, output = sh(host, fault.prepare, 120)
    assert code == 0, output
    time.sleep(1)
    assert sh(host, fault.happened)[0] != 0, "seen before it was made"
    code, output = sh(host, fault.inject)
    assert code == 0, output
    soon(host, fault.happened, 10)
    if kind not in LEAVES_BY_ITSELF:
        assert sh(host, fault.healed)[0] != 0, "healed before it was undone"
    for _ in range(2):
        code, output = sh(host, fault.undo, 120)
        assert code == 0, output
        soon(host, fault.healed)


@pytest.mark.long
@pytest.mark.parametrize("how", ["reboot", "power"])
def test_a_server_is_rebooted_by_itself(host, how):
    """As a server, which has no engine to start it: here a thread does so once it is down."""

    def power_on():
        host.container.wait(timeout=60)
        host.start()

    way = Host(host.target().model_copy(update={"lab": False}))
    before = machine.boot(way)
    power = threading.Thread(target=power_on)
    power.start()
    machine.go_down(way, how)
    power.join()
    assert machine.boot(way) != before
