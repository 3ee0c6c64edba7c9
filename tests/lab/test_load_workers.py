"""One load from two machines: lab hosts as locust's workers, the master here."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest
from hdrh.histogram import HdrHistogram

from loadtests import runner
from loadtests.process import LOCUSTFILE
from loadtests.profile import load_profile
from loadtests.recorder import Merged
from loadtests.route import route
from loadtests.runner import run_load
from loadtests.sources import MARK
from loadtests.store import ROWS, Store
from tests.lab import workers
from tests.lab.command import COMMAND

pytestmark = pytest.mark.long  # two hosts are booted, and each run takes half a minute

LOG = "/var/log/nginx/access.log"
LOCAL_ROUTES = f"ip -4 route show table local proto {MARK}"


@pytest.fixture(scope="module")
def machines(lab, host) -> list:
    """Two machines on the network of the host that gets the load."""
    booted = [lab.up(f"worker-{number}") for number in (1, 2)]
    for one in booted:
        workers.install(one)
    yield booted
    for one in booted:
        one.remove()


@pytest.fixture
def master(host) -> str:
    """This machine's address on the lab's network."""
    return str(route(host.address)["prefsrc"])


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "load")


@pytest.fixture
def load(host, store):
    """Run the smoke profile with two workers of other machines."""

    def made(progress=print):
        profile = load_profile("smoke")
        return run_load(profile, host.target(), store, progress, workers=2, remote=True)

    return made


def rows(store, run) -> dict[str, list[dict]]:
    """The rows of a run by the worker that reported them."""
    found: dict[str, list[dict]] = {}
    for line in (store.home / run.id / ROWS).read_text().splitlines():
        row = json.loads(line)
        found.setdefault(row.get("worker", ""), []).append(row)
    return found


def clients(host) -> dict[str, str]:
    """The addresses in nginx' log, each with the network card that the host found it at."""
    _, log = host.exec(f"cut -d' ' -f1 {LOG} | sort -u")
    _, neighbours = host.exec("ip -j neighbour show")
    cards = {one["dst"]: one.get("lladdr", "") for one in json.loads(neighbours)}
    return {one: cards.get(one, "") for one in log.split()}


def card(machine) -> str:
    """The hardware address of a machine on the lab's network."""
    networks = machine.container.attrs["NetworkSettings"]["Networks"]
    return str(networks[machine.lab.network_name]["MacAddress"])


def left(machine) -> str:
    """What of the users' addresses is left on a machine."""
    return machine.exec(LOCAL_ROUTES)[1]


def left_here() -> str:
    done = subprocess.run(LOCAL_ROUTES.split(), capture_output=True, text=True, check=True)
    return done.stdout


def test_two_machines_make_one_run(host, machines, master, load, store):
    host.exec(f": > {LOG}")
    for one in machines:
        workers.start(one, master)

    run = load()

    said = "\n".join(map(workers.log, machines))
    assert run.verdict == "met", (run.reasons, said)
    assert run.errors == 0
    assert run.generator.connections_opened == run.profile.users == 300

    by_worker = rows(store, run)
    names = [name for name in by_worker if name]
    assert {name.rpartition("_")[0] for name in names} == {"worker-1", "worker-2"}
    made = run.generator.requests_by_process
    assert sorted(made) == sorted(names)
    assert sum(made.values()) == run.requests
    assert max(made.values()) - min(made.values()) <= 0.1 * run.requests

    own = [
        Merged(by_worker[name], window_seconds=5, warmup=run.profile.warmup).measured().latency
        for name in names
    ]
    merged = HdrHistogram.decode(run.histogram)
    assert list(merged.counts) == [
        sum(pair) for pair in zip(*(one.counts for one in own), strict=True)
    ]
    assert merged.get_total_count() == run.latency.count > 0

    seen = clients(host)
    for one in machines:
        (name,) = [name for name in names if name.startswith(one.name)]
        (own,) = [row["addresses"] for row in by_worker[name] if row["kind"] == "sources"]
        assert [seen[address] for address in own] == [card(one)] * 10
    assert run.sources == 20

    assert all(map(workers.ended, machines))
    assert [*map(left, machines), left_here()] == ["", "", ""]


def test_a_machine_that_dies_makes_the_run_invalid(machines, master, load):
    first, second = machines
    for one in machines:
        workers.start(one, master)
    killed = threading.Event()

    def progress(text):
        print(text)
        if " users from " in text and not killed.is_set():
            killed.set()
            second.kill()

    try:
        run = load(progress)
        assert killed.is_set()
        assert run.verdict == "invalid"
        assert "lost the worker on worker-2 before the run's end" in run.reasons
        assert not run.complete
        assert 0 < run.requests < 0.9 * run.generator.requests_planned
        assert run.seconds < run.profile.duration
        assert workers.ended(first)
        assert left(first) == ""
    finally:
        second.start()


def test_what_a_machine_lacks_is_the_runs_reason(machines, master, load):
    first, second = machines
    workers.start(first, master, user="connect")
    workers.start(second, master)
    run = load()
    assert run.verdict == "invalid"
    assert run.reasons[0].startswith("the worker on worker-1: "), run.reasons
    assert "run as root on the machine of the lab" in run.reasons[0]
    assert run.requests == 0
    assert all(map(workers.ended, machines))
    assert [*map(left, machines)] == ["", ""]


def test_a_machine_that_never_comes_makes_the_run_invalid(machines, master, load, monkeypatch):
    monkeypatch.setattr(runner, "WORKERS_LIMIT", 15.0)
    workers.start(machines[0], master)
    run = load()
    assert run.verdict == "invalid"
    assert run.reasons[0] == "1 of 2 workers came within 15 s"
    assert workers.ended(machines[0])


def test_an_interrupt_leaves_nothing_on_any_machine(machines, master, tmp_path):
    for one in machines:
        workers.start(one, master)
    arguments = ["load", "run", "smoke", "--target", "lab", "--workers", "2", "--remote"]
    with (tmp_path / "said").open("w+") as said:
        command = [sys.executable, "-c", COMMAND, *arguments]
        running = subprocess.Popen(command, stdout=said, stderr=said, cwd=tmp_path)
        try:
            deadline = time.monotonic() + 60
            while not all(map(left, machines)) and time.monotonic() < deadline:
                time.sleep(0.5)
            assert all(map(left, machines))
            running.send_signal(signal.SIGINT)
            assert running.wait(60) == 2
        finally:
            running.kill()
        said.seek(0)
        assert "invalid: interrupted" in said.read()
    assert all(map(workers.ended, machines))
    assert [*map(left, machines), left_here()] == ["", "", ""]


def test_by_hand_it_is_locusts_own_master(host, machines, master, tmp_path):
    host.exec(f": > {LOG}")
    for one in machines:
        workers.start(one, master)
    options = ["--load=smoke", "--target=lab", "--master", "--expect-workers=2", "--headless"]
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *options]
    done = subprocess.run(
        [*command, "--only-summary", "--json-file", str(tmp_path / "stats")],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=workers.ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "stats.json").read_text())
    assert (
        sum(one["num_requests"] for one in found) > 0.9 * load_profile("smoke").steps[0].rate * 30
    )
    assert sum(one["num_failures"] for one in found) == 0
    cards = list(clients(host).values())
    assert [cards.count(card(one)) for one in machines] == [10, 10]
    assert all(map(workers.ended, machines))
    assert [*map(left, machines), left_here()] == ["", "", ""]
