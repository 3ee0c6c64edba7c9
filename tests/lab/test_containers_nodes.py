"""The database's containers are made anew one after the other, while users go on working."""

import pytest

from tests.lab.containers import COMPOSE, cluster, leader, wait_for_containers
from tests.lab.operations import script
from tests.lab.shell import sh
from tests.lab.steady import RATE, steady

pytestmark = pytest.mark.long

AWAY = 15.0
"""Seconds without the database at most: a switchover, and the door's check."""

IDS = "docker inspect --format '{{.Id}}' patroni1 patroni2"


@pytest.mark.parametrize(("old", "new"), [("60s", "61s"), ("61s", "60s")], ids=["there", "back"])
def test_nodes_are_made_anew_one_after_the_other(docker_host, old, new):
    primary, containers = leader(docker_host), sh(docker_host, IDS).split()
    assert script(docker_host, "renew-nodes.sh", "--check") == (0, "")
    sh(docker_host, f"sed -i 's/stop_grace_period: {old}/stop_grace_period: {new}/' {COMPOSE}")
    code, said = script(docker_host, "renew-nodes.sh", "--check")
    assert (code, "patroni1 patroni2" in said) == (1, True)
    with steady(docker_host.target()) as stream:
        code, said = script(docker_host, "renew-nodes.sh", limit=400)
    assert code == 0, said
    failed = stream.failed()
    print(f"{said}{len(failed)} of {len(stream.slots)} requests failed")
    assert len(failed) < AWAY * RATE
    assert leader(docker_host) != primary
    assert sorted(role for role, _ in cluster(docker_host).values()) == ["leader", "sync_standby"]
    assert set(sh(docker_host, IDS).split()) & set(containers) == set()
    assert script(docker_host, "renew-nodes.sh", "--check")[0] == 0
    wait_for_containers(docker_host)
