"""Load on a provisioned host: what a run shows, and that it says so when it shows nothing."""

import ipaddress
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connect_infra.cli import app
from loadtests.profile import load_profile
from loadtests.route import route
from loadtests.runner import run_load
from loadtests.sources import MARK, client_addresses
from loadtests.store import Store

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
    assert found["established"] >= 10_000
    assert run.errors == 0
    assert run.generator.connections_opened == 10_000
    assert run.generator.cpu_cores < 1
    assert run.generator.memory_bytes < 500e6


@pytest.mark.long
def test_one_address_meets_the_limit_and_is_let_in_again(host, load):
    run = load("limit")
    assert run.verdict == "met", run.reasons
    assert {one.kind for one in run.failures} >= {"status 429"}
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
def test_the_documented_load_fails_nobody(load):
    run = load("documented")
    assert run.verdict == "met", run.reasons
    assert run.seconds >= 600
    assert run.errors == 0
    assert run.requests >= 9_900


@pytest.mark.long
@pytest.mark.usefixtures("host")
def test_percentiles_agree_with_h2load():
    command = [sys.executable, "-m", "benchmarks.load_peer"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
