"""Load from several machines: who numbers the workers, which addresses they have, what is said."""

import socket
import subprocess
import sys
from ipaddress import IPv4Interface, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_infra.errors import LoadError
from loadtests.analysis import incomplete
from loadtests.crew import Crew, number
from loadtests.exchange import CUT_OFF
from loadtests.plan import Plan
from loadtests.planning import require_even
from loadtests.process import LOCUSTFILE
from loadtests.profile import load_profile
from loadtests.sources import own_prefix

LAB = "172.18.0.0/16"
HOSTS = list(IPv4Network(LAB).hosts())


def plan_for(profile="connected", workers=1, **more) -> Plan:
    data = {"profile": load_profile(profile), "address": "127.0.0.1", "domain": "x.test"}
    return Plan.model_validate(data | {"lab": True, "workers": workers} | more)


def addresses(count: int, net: int = 1) -> tuple[str, ...]:
    return tuple(f"127.0.{net}.{n}" for n in range(1, count + 1))


@given(one=st.integers(1, 128), other=st.integers(1, 128))
def test_each_machine_has_a_prefix_of_its_own(one, other):
    target = str(HOSTS[200])
    first, second = (own_prefix(IPv4Interface(f"{HOSTS[n - 1]}/16"), target) for n in (one, other))
    assert (first == second) == (one == other)
    assert first.subnet_of(IPv4Network("172.18.128.0/17"))
    assert not first.overlaps(second) or one == other


def test_the_machine_of_the_lab_has_the_last_prefix():
    assert str(own_prefix(IPv4Interface("172.18.0.1/16"), "172.18.0.2")) == "172.18.255.0/24"
    assert str(own_prefix(IPv4Interface("192.168.0.2/20"), "192.168.0.9")) == "192.168.14.0/24"
    assert str(own_prefix(IPv4Interface("10.1.1.1/24"), "10.1.1.2")) == "10.1.1.192/26"


@pytest.mark.parametrize(
    ("machine", "target"),
    [
        ("172.18.0.129/16", "172.18.0.2"),
        ("10.1.1.3/24", "10.1.1.2"),
        ("172.18.0.1/16", "172.18.255.9"),
    ],
)
def test_a_network_without_room_is_refused(machine, target):
    with pytest.raises(LoadError, match="a lab network with room"):
        own_prefix(IPv4Interface(machine), target)


def test_one_address_for_many_users_is_the_limit_and_not_the_site():
    plan = plan_for()
    with pytest.raises(LoadError, match=r"from 127\.0\.1\.1, of which the site allows 100"):
        plan.require_sources([addresses(1)])
    with pytest.raises(LoadError, match="from one address"):
        plan.require_sources([()])
    plan.require_sources([addresses(200)])
    plan_for("limit").require_sources([addresses(1)])


def test_addresses_must_do_for_each_worker_by_itself():
    plan = plan_for("capacity", workers=2)
    with pytest.raises(LoadError, match="enough client addresses"):
        plan.require_sources([addresses(100), addresses(1, net=2)])
    plan.require_sources([addresses(100), addresses(100, net=2)])


def test_workers_that_share_an_address_share_its_limit():
    plan = plan_for(workers=4)
    with pytest.raises(LoadError):
        plan.require_sources([addresses(1)] * 4)
    plan.require_sources([addresses(1, net=n) for n in range(4)])


@given(workers=st.sampled_from([1, 2, 3, 4, 5, 6]), remote=st.booleans())
def test_all_addresses_of_a_worker_are_used_alike(workers, remote):
    plan = plan_for("smoke", workers=workers, remote=remote)
    mine = addresses(plan.sources_each if remote else 20)
    plan = plan.model_copy(update={"sources": mine})
    users = range(0, 300, workers) if remote else range(300)
    used = [plan.source(user) for user in users]
    counts = [used.count(one) for one in mine]
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize(
    ("profile", "workers", "says"),
    [
        ("smoke", 0, "the number of workers on other machines, found 0"),
        ("smoke", 7, "a number of workers that divides 300 users"),
        ("smoke", 25, "at most 20 workers"),
    ],
)
def test_a_number_of_workers_that_does_not_fit_is_refused(profile, workers, says):
    with pytest.raises(LoadError, match=says):
        require_even(load_profile(profile), workers, remote=True)


def test_workers_here_may_be_more_than_addresses():
    require_even(load_profile("smoke"), 25, remote=False)
    require_even(load_profile("smoke"), 0, remote=False)


def test_workers_are_numbered_without_gaps():
    crew = Crew(plan_for(workers=2))
    crew.enlist(["b_2", "a_1"])
    assert [number(one, crew.workers) for one in ("a_1", "b_2")] == [0, 1]
    with pytest.raises(LoadError, match="one that came later"):
        number("c_3", crew.workers)


def test_another_number_of_workers_than_planned_is_refused():
    with pytest.raises(LoadError, match="expected 2 workers, found 3: on a, b, old"):
        Crew(plan_for(workers=2)).enlist(["a_1", "b_2", "old_0"])


def test_a_lost_worker_is_named():
    crew = Crew(plan_for(workers=3))
    crew.enlist(["a_1", "b-c_2", "d_e_3"])
    assert crew.lost(["a_1", "b-c_2", "d_e_3"]) == ""
    assert crew.lost(["a_1"]) == "lost the worker on b-c and on d_e before the run's end"


def test_a_plan_of_another_version_is_refused():
    text = plan_for().model_dump_json().replace('"lab"', '"laboratory"')
    with pytest.raises(LoadError, match="the same checkout on all machines"):
        Plan.parse(text)


@pytest.fixture
def hired(tmp_path):
    """Start a worker as another machine would: `hired(port)`; all end with the test."""
    started = []

    def hire(port, **environment):
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--worker"]
        with (tmp_path / f"worker-{len(started)}").open("w") as log:
            started.append(
                subprocess.Popen(
                    [*command, "--master-host=127.0.0.1", f"--master-port={port}"],
                    stdout=log,
                    stderr=log,
                    env={"PYTHONPATH": str(LOCUSTFILE.parents[1]), **environment},
                )
            )
        return started[-1]

    yield hire
    for one in started:
        one.kill()
        one.wait()


def test_workers_of_other_machines_make_the_sum_from_their_own_addresses(
    site, plan_of, trial, hired
):
    attempt = trial(plan_of(users=20, rate=20, seconds=6, sources=10), workers=2, remote=True)
    workers = [hired(attempt.port) for _ in range(2)]
    evidence = attempt.run()
    assert attempt.locust.complaints() == []
    assert incomplete(evidence.rows, evidence.merged, 2) == []
    assert sorted(evidence.merged.by_worker.values()) == [60, 60]
    assert evidence.merged.total().requests == site.requests == 120
    assert evidence.addresses == addresses(5)
    assert site.peers == dict.fromkeys(addresses(5), 4)
    assert [one.wait(10) for one in workers] == [0, 0]


def test_what_a_worker_complains_about_reaches_who_started_the_run(plan_of, trial, hired):
    attempt = trial(plan_of(seconds=30, lab=False), workers=2, remote=True)
    workers = [hired(attempt.port, CONNECT_LOAD_PASSWORD="x"), hired(attempt.port)]
    attempt.run(limit=30)
    (said,) = attempt.locust.complaints()
    assert said.startswith("the worker on ")
    assert "expected the password of the seeded users" in said
    assert attempt.locust.exit_code() == 2
    assert [one.wait(10) for one in workers] == [0, 2]


def test_too_few_addresses_end_the_run_before_its_first_request(site, plan_of, trial, hired):
    """Each worker takes one of two addresses, and as both are on one machine, the same one."""
    plan = plan_of(rate=150, sources=2, mix={"search": 1}, seconds=30)
    attempt = trial(plan, workers=2, remote=True)
    workers = [hired(attempt.port) for _ in range(2)]
    evidence = attempt.run(limit=30)
    (said,) = attempt.locust.complaints()
    assert "150 requests a second below /api/ from 127.0.1.1" in said
    assert evidence.begun is None
    assert site.requests == 0
    assert [one.wait(10) for one in workers] == [0, 0]


@pytest.mark.parametrize("signal", ["kill", "terminate"])
def test_a_worker_elsewhere_that_is_lost_ends_the_run(plan_of, trial, hired, signal):
    attempt = trial(plan_of(seconds=60), workers=2, remote=True)
    workers = [hired(attempt.port) for _ in range(2)]

    def lost(it):
        if it.evidence.elapsed > 1 and workers[0].poll() is None:
            getattr(workers[0], signal)()
        return False

    evidence = attempt.run(until=lost)
    (said,) = attempt.locust.complaints()
    assert said.startswith("lost the worker on ")
    assert evidence.elapsed < 20
    assert evidence.merged.total().requests > 0
    assert workers[1].wait(10) == 0


def test_the_last_worker_that_is_lost_is_named_too(plan_of, trial, hired):
    attempt = trial(plan_of(seconds=60), workers=1, remote=True)
    worker = hired(attempt.port)

    def lost(it):
        if it.evidence.elapsed > 1:
            worker.kill()
        return False

    attempt.run(until=lost)
    (said,) = attempt.locust.complaints()
    assert said.startswith("lost the worker on ")


def test_a_run_that_is_stopped_keeps_what_all_workers_have(site, plan_of, trial, hired):
    plan = plan_of(users=1000, rate=200, seconds=60, timeout=20)
    attempt = trial(plan, workers=2, remote=True)
    for _ in range(2):
        hired(attempt.port)
    evidence = attempt.run(until=lambda it: it.evidence.elapsed > 4)
    assert attempt.locust.complaints() == []
    assert incomplete(evidence.rows, evidence.merged, 2) == []
    total = evidence.merged.total()
    # What was cut off at the end may have been sent before that, or not.
    assert total.requests - total.errors[CUT_OFF] <= site.requests <= total.requests
    assert site.requests > 600


def test_a_worker_too_many_is_no_silent_change_of_the_load(plan_of, trial, hired):
    attempt = trial(plan_of(seconds=30), workers=2, remote=True)
    for _ in range(3):
        hired(attempt.port)
    attempt.run(limit=40)
    assert attempt.locust.complaints()
    assert all(
        "expected 2 workers, found 3" in one or "came later" in one
        for one in attempt.locust.complaints()
    )


def test_a_master_that_still_waits_ends_at_once(plan_of, trial, hired):
    attempt = trial(plan_of(seconds=30), workers=2, remote=True)
    worker = hired(attempt.port)
    attempt.run(until=lambda it: it.evidence.workers == 1)
    assert attempt.locust.exit_code() == 0
    assert worker.wait(10) == 0


def test_a_port_that_another_run_has_is_named(plan_of, trial):
    attempt = trial(plan_of(), workers=2, remote=True)
    with (
        socket.create_server(("", attempt.port)),
        pytest.raises(LoadError, match=f"port {attempt.port} to be free for the workers"),
    ):
        attempt.run()
