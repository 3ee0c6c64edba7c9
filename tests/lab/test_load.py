"""Load on a provisioned host: what a run shows, and that it says so when it shows nothing."""

import ipaddress
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connect_infra.cli import app
from loadtests.profile import load_profile
from loadtests.route import route
from loadtests.runner import run_load
from loadtests.sources import MARK, client_addresses
from loadtests.store import RESERVED_BYTES, Store
from tests.lab.command import COMMAND

ROOT = Path(__file__).resolve().parents[2]
LOG = "/var/log/nginx/access.log"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "load")


@pytest.fixture
def load(host, store):
    """Run a profile on the host: `load("smoke", seconds=20)`."""

    def made(name, seconds=None, target=None, **more):
        profile = load_profile(name)
        profile = profile.for_seconds(seconds) if seconds else profile
        return run_load(profile, target or host.target(), store, print, **more)

    return made


def prefixes(host) -> str:
    """What of the users' addresses is on this machine."""
    device = route(host.address)["dev"]
    command = ["ip", "route", "show", "table", "local", "dev", device, "proto", MARK]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_smoke_is_met_and_leaves_nothing(host, load, store):
    """Also after a run that was killed: its addresses are taken over and go away."""
    with client_addresses(host.address, 1, lab=True) as (first,):
        users = ipaddress.ip_network(f"{first}/24", strict=False)
    stale = ["ip", "route", "replace", "local", str(users), "dev", route(host.address)["dev"]]
    subprocess.run([*stale, "proto", MARK], check=True)
    host.exec(f": > {LOG}")

    run = load("smoke", seconds=20)

    assert run.verdict == "met", run.reasons
    assert run.errors == 0
    assert run.generator.connections_opened == run.profile.users == 300
    assert max(one.established for one in run.server.samples) >= 200
    assert not run.server.missing
    assert {one.name for one in run.server.series} >= {"cpu", "nginx_requests", "cache_hits"}
    _, seen = host.exec(f"cut -d' ' -f1 {LOG} | sort -u")
    assert len([one for one in seen.split() if ipaddress.ip_address(one) in users]) == 20
    assert prefixes(host) == ""
    assert store.load("latest") == run


def test_addresses_stay_until_the_last_run_has_ended(host):
    with client_addresses(host.address, 1, lab=True) as first:
        with client_addresses(host.address, 1, lab=True) as second:
            assert first == second
        assert prefixes(host) != ""
    assert prefixes(host) == ""


def test_another_name_than_the_certificates_is_invalid(host, load):
    target = host.target().model_copy(update={"domain": "another.example.com"})
    run = load("smoke", target=target)
    assert run.verdict == "invalid"
    assert "certificate that is refused: Hostname mismatch" in run.reasons[0]


def test_a_site_that_is_down_is_invalid_and_the_command_says_so(host, tmp_path, monkeypatch):
    monkeypatch.setenv("CONNECT_INFRA_LOAD", str(tmp_path))
    host.exec("systemctl stop nginx")
    try:
        written = tmp_path / "run.json"
        arguments = ["load", "run", "smoke", "--target", "lab", "--json", str(written)]
        done = CliRunner().invoke(app, arguments)
    finally:
        host.exec("systemctl start nginx")
    assert done.exit_code == 2, done.output
    assert "no connection: Connection refused" in done.output
    assert json.loads(written.read_text())["verdict"] == "invalid"


@contextmanager
def command(tmp_path, *options):
    """`connect-infra load run smoke` as a process of its own, from ten seconds of load on."""
    said = tmp_path / "said"
    arguments = ["load", "run", "smoke", "--target", "lab", "--seconds", "40", *options]
    with said.open("w") as out:
        run = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            stdout=out,
            stderr=out,
            env=os.environ | {"CONNECT_INFRA_LOAD": str(tmp_path / "load")},
        )
        try:
            deadline = time.monotonic() + 90
            while not re.search(r"[1-9]\d of 40 s", said.read_text()):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield run, said
        finally:
            run.kill()
            run.wait()


@pytest.mark.long
def test_ctrl_c_keeps_what_there_is_and_says_that_it_is_not_all(host, tmp_path):
    with command(tmp_path) as (running, said):
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 2, said.read_text()
    run = Store(tmp_path / "load").load("latest")
    assert (run.verdict, run.complete, run.reasons[0]) == ("invalid", False, "interrupted")
    assert 200 < run.requests < 0.9 * run.generator.requests_planned
    assert run.latency.p95 is not None
    assert len(run.server.samples) > 2
    assert "invalid: interrupted" in said.read_text()
    assert prefixes(host) == ""


@pytest.mark.long
def test_a_worker_that_dies_leaves_a_run_that_says_nothing(host, tmp_path):
    with command(tmp_path, "--workers", "2") as (running, said):
        find = ["pgrep", "--parent", str(running.pid), "--full", "locustfile.py --worker"]
        workers = subprocess.run(find, capture_output=True, text=True).stdout.split()
        assert len(workers) == 2
        os.kill(int(workers[0]), signal.SIGKILL)
        assert running.wait(60) == 2, said.read_text()
    run = Store(tmp_path / "load").load("latest")
    assert (run.verdict, run.complete) == ("invalid", False)
    assert "1 of the generator's workers died" in run.reasons
    assert 200 < run.requests < 0.9 * run.generator.requests_planned
    assert prefixes(host) == ""


@pytest.mark.long
def test_a_disk_that_is_full_keeps_what_fitted(load, store):
    store.home.mkdir()
    size = RESERVED_BYTES + 20_000  # ten seconds' rows
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", store.home], check=True)
    try:
        run = load("smoke")
        assert store.load("latest") == run
    finally:
        subprocess.run(["umount", store.home], check=True)
    assert (run.verdict, run.complete) == ("invalid", False)
    assert "results can't be written: No space left on device" in run.reasons
    assert 0 < run.requests < 0.9 * run.generator.requests_planned


@pytest.mark.long
def test_a_site_that_goes_down_meanwhile_is_missed_or_invalid(host, load):
    stop = "systemd-run --on-active=12 systemctl stop nginx"
    host.exec(stop)
    try:
        run = load("smoke", seconds=25)
    finally:
        host.exec("systemctl start nginx")
    assert run.verdict != "met"
    assert {one.kind for one in run.failures} & {"connection refused", "closed without an answer"}


@pytest.mark.long
def test_ten_thousand_connections_are_open_at_once(load):
    run = load("connected")
    found = {one.measure: one.found for one in run.objectives}
    assert run.verdict == "met", run.reasons
    assert found["established"] >= 10_000
    assert run.errors == 0
    assert run.generator.connections_opened == 10_000
    assert run.generator.cpu_cores < 1
    assert run.generator.memory_bytes < 500e6


@pytest.mark.long
def test_one_address_meets_the_limit_and_is_let_in_again(host, load):
    run = load("limit")
    assert run.verdict == "met", run.reasons
    assert {one.kind for one in run.failures} >= {"status 429 from nginx"}
    assert run.server.missing == ()
    _, banned = host.exec("fail2ban-client banned")
    assert host.address.rsplit(".", 2)[0] not in banned


@pytest.mark.long
def test_a_days_scrapes_go_through_the_queue(load):
    run = load("scrapes")
    found = {one.measure: one.found for one in run.objectives}
    assert run.verdict == "met", run.reasons
    assert found["scrapes"] >= 500
    assert found["queue_left"] == 0


@pytest.mark.long
def test_two_workers_make_one_run(host, load):
    """Also of a host that has just booted, whose Prometheus does not answer yet."""
    host.exec("systemctl stop prometheus; systemd-run --on-active=10 systemctl start prometheus")
    run = load("smoke", workers=2)
    assert run.verdict == "met", run.reasons
    assert len(run.generator.requests_by_process) == 2
    assert sum(run.generator.requests_by_process.values()) == run.requests


@pytest.mark.long
def test_the_knee_is_found_and_what_limits_it_is_named(load):
    run = load("capacity")
    assert run.verdict == "met", run.reasons
    assert run.knee is not None
    assert run.knee.limited_by


@pytest.mark.long
@pytest.mark.parametrize(
    ("profile", "seconds", "requests"),
    [("documented", None, 9_900), ("peak", None, 41_000), ("soak", 120, 1_600)],
)
def test_the_documented_load_and_ten_times_as_much_fail_nobody(load, profile, seconds, requests):
    run = load(profile, seconds)
    assert run.verdict == "met", run.reasons
    assert run.errors == 0
    assert run.requests >= requests
    assert run.seconds == (seconds or run.profile.duration)


@pytest.mark.long
@pytest.mark.usefixtures("host")
def test_percentiles_agree_with_h2load():
    command = [sys.executable, "-m", "benchmarks.load_peer"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
