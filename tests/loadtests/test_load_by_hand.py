"""Locust's own page with our file, for people who know it: start, watch, stop, start again."""

import json
import subprocess
import sys
import time
import urllib.request
from urllib.parse import urlencode

import pytest

from loadtests.process import LOCUSTFILE
from tests.loadtests.conftest import free_port


@pytest.fixture
def page(plan_of, tmp_path):
    """Ask locust's page, which has a plan of 20 users for five seconds: `page("stop")`."""
    (tmp_path / "plan.json").write_text(plan_of(users=20, rate=20, seconds=5).model_dump_json())
    port = free_port()
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)]
    options = [f"--plan={tmp_path / 'plan.json'}", "--web-host=127.0.0.1", f"--web-port={port}"]

    def ask(path, **form):
        data = urlencode(form).encode() if form else None
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", data, timeout=5) as answer:
            return answer.read()

    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen([*command, *options], stdout=log, stderr=log)
    try:
        until(lambda: b"locust" in ask("").lower(), patience=(OSError,))
        yield ask
        running.terminate()
        assert running.wait(20) == 0, (tmp_path / "log").read_text()
    finally:
        running.kill()
        running.wait()


def until(holds, patience=()) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except patience:
            pass
        time.sleep(0.2)
    raise AssertionError("it did not come to that within 30 s")


def test_locusts_page_starts_stops_and_starts_again(site, page):
    def stats():
        return json.loads(page("stats/requests"))

    def requests():
        return next(row for row in stats()["stats"] if row["name"] == "Aggregated")["num_requests"]

    assert json.loads(page("swarm", user_count=1, spawn_rate=1))["success"]
    until(lambda: requests() > 20)
    assert stats()["user_count"] == 20
    assert {row["name"] for row in stats()["stats"]} == {"home", "stylesheet", "Aggregated"}
    assert site.open > 0

    page("stop", now="yes")
    until(lambda: stats()["state"] == "stopped")
    assert stats()["user_count"] == 0
    until(lambda: site.open == 0)
    assert requests() < 100

    site.requests = 0
    assert json.loads(page("swarm", user_count=1, spawn_rate=1))["success"]
    until(lambda: stats()["state"] == "running")
    until(lambda: stats()["state"] == "stopped")
    assert requests() == site.requests == 100
    assert stats()["errors"] == []
