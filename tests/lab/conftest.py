"""Lab hosts for the tests: bare ones, and provisioned ones that are kept as snapshots."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from connect_infra.lab import Lab
from provisioning.snapshot import provisioned
from tests.lab.containers import fresh_backup, wait_for_containers

ROOT = Path(__file__).resolve().parents[2]
STATE = Path(os.environ.get("CONNECT_INFRA_TESTS_STATE", ROOT / "build" / "tests-lab"))


@pytest.fixture(scope="session")
def lab():
    """A lab of the tests' own, taken down at the end; its snapshots stay for the next run."""
    os.environ["CONNECT_INFRA_STATE"] = str(STATE)
    made = Lab(lambda message: print(f"lab: {message}", flush=True))
    made.down()
    yield made
    made.down()


@pytest.fixture
def bare_host(lab) -> Iterator:
    """A bare host that nobody has provisioned, removed after the test."""
    host = lab.up("bare")
    yield host
    host.remove()


@pytest.fixture(scope="session")
def snapshot(lab) -> str:
    """The image of a host that was provisioned from bare over SSH."""
    return provisioned(lab, print)


@pytest.fixture(scope="module")
def host(lab, snapshot) -> Iterator:
    """A provisioned host for one test module, removed after it."""
    booted = lab.up("main", snapshot)
    yield booted
    booted.remove()


@pytest.fixture(scope="session")
def docker_snapshot(lab) -> str:
    """The image of a Docker host that was provisioned from bare over SSH."""
    return provisioned(lab, print, "containers")


@pytest.fixture(scope="module")
def docker_host(lab, docker_snapshot) -> Iterator:
    """A provisioned Docker host for one test module, whose containers are healthy."""
    booted = lab.up("containers", docker_snapshot, topology="containers")
    wait_for_containers(booted)
    fresh_backup(booted)
    yield booted
    booted.remove()


@pytest.fixture(scope="module")
def attacker(lab) -> Iterator:
    """A second host on the lab's network, bare, removed after the module."""
    booted = lab.up("attacker")
    yield booted
    booted.remove()


@pytest.fixture(scope="session")
def small_disk() -> Callable:
    """A disk of 64 MB on a host, mounted at a path while the block runs.

    An overlay over memory: node-exporter counts it as a disk, and filling it harms nobody.
    """

    @contextmanager
    def mounted(host, path: str) -> Iterator[None]:
        below = f"{path}.below"
        code, said = host.exec(f"""
set -e
mkdir -p {path} {below}
mount -t tmpfs -o size=64M tmpfs {below}
cd {below}
mkdir lower upper work
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay {path}
cd /
""")
        assert code == 0, said
        try:
            yield
        finally:
            code, said = host.exec(f"umount {path} && umount {below} && rmdir {path} {below}")
            assert code == 0, said

    return mounted


@pytest.fixture(scope="module")
def rule_tests(host) -> Callable[[Sequence[dict], str], str]:
    """Run unit tests of Prometheus' rules on the host: what promtool says, "" if they hold.

    `rules` are the files to test, as a pattern on the host.
    """

    def run(tests: Sequence[dict], rules: str) -> str:
        _, files = host.exec(f"ls {rules}")
        content = json.dumps({
            "rule_files": files.split(), "evaluation_interval": "15s", "tests": list(tests),
        })  # fmt: skip
        path = "/tmp/rule-tests.json"
        code, said = host.exec(
            f"cat > {path} <<'END'\n{content}\nEND\npromtool test rules {path} 2>&1"
        )
        return "" if code == 0 and "SUCCESS" in said else said

    return run
