"""A Docker host's health check: each check fails when its part is broken. And its diagnosis."""

import json

import pytest

from connect_infra import operations
from connect_infra.facts.docker import PLATFORM, WATCHERS
from connect_infra.transport import connect
from tests.lab.operations import SCRIPTS, checks, limit, script
from tests.lab.shell import eventually, sh

pytestmark = pytest.mark.long


NOTICED = 90.0
"""Seconds until a check may see what is broken: Prometheus scrapes every 15 s, alerts wait 30."""

WELL = 150.0
"""Seconds until all is well again: a replica follows, alerts are over, containers are healthy."""


def stopped(name):
    return f"docker stop {name}", f"docker start {name}"


BREAKS = {
    "load": limit("watching.py", "LOAD_LIMIT = -1.0"),
    "memory": limit("settings.sh", "MEMORY_LIMIT=0"),
    "disk": ("mount -t tmpfs -o size=10m tmpfs /backups; fallocate -l 9M /backups/ballast",
             "umount /backups"),
    "containers": stopped("node_exporter"),
    "monitoring": stopped("redis_exporter"),
    "alerts": stopped("connect_redis"),
    "database": stopped("connect_postgres"),
    "replication": stopped("patroni2"),
    "redis": stopped("connect_redis"),
    "colours": stopped("connect_app2"),
    "switching": ("docker tag $(docker inspect --format '{{.Image}}' haproxy) connect:green",
                  "docker tag connect:1.0.0 connect:green"),
    "api": stopped("haproxy"),
    "certificate": limit("settings.sh", "CERTIFICATE_DAYS=1000"),
    "errors": ("for n in $(seq 101); do echo broken; done | systemd-cat -p err; sleep 1",
               "journalctl --rotate --vacuum-time=1s"),
    "backup": ("mv /backups/pgbackrest/backup /backups/pgbackrest/away",
               "mv /backups/pgbackrest/away /backups/pgbackrest/backup"),
    "dump": ("mv /backups/postgres/latest.sql /backups/away", "mv /backups/away "
             "/backups/postgres/latest.sql"),
    "system-backup": ("touch -d '2 hours ago' /backups/redis/dump.rdb",
                      "touch /backups/redis/dump.rdb"),
}  # fmt: skip


@pytest.fixture(scope="module")
def healthy_host(docker_host):
    """A snapshot may be days old; backups are made every 15 minutes."""
    sh(docker_host, f"{SCRIPTS}/backup-system.sh")
    assert eventually(lambda: checks(docker_host)[0], WELL), checks(docker_host)
    return docker_host


def test_a_provisioned_host_is_healthy(healthy_host):
    healthy, found = checks(healthy_host)
    assert healthy, [one for one in found.values() if not one["ok"]]
    assert set(found) == set(BREAKS)
    code, said = script(healthy_host, "health-check.sh")
    print(said)
    assert code == 0
    assert len(said.splitlines()) == len(BREAKS)


@pytest.mark.parametrize("name", BREAKS)
def test_each_check_fails_when_its_part_is_broken(healthy_host, name):
    do, undo = BREAKS[name]
    sh(healthy_host, do)
    try:
        broken = eventually(lambda: not checks(healthy_host)[1][name]["ok"], NOTICED)
        code, said = script(healthy_host, "health-check.sh")
    finally:
        sh(healthy_host, undo)
    assert broken, said
    assert code == 1
    (line,) = [line for line in said.splitlines() if line.split()[1] == name]
    print(line)
    assert line.startswith("FAIL")
    assert eventually(lambda: checks(healthy_host)[0], WELL), checks(healthy_host)


def test_the_diagnosis_shows_everything_and_no_password(healthy_host):
    target = healthy_host.target()
    with connect(target) as connection:
        sections = {one.title: one for one in operations.diagnose(connection, target.topology)}
    assert [one.problem for one in sections.values() if one.problem] == []
    assert {row[0] for row in sections["containers"].rows} == {*PLATFORM, *WATCHERS}
    assert {row[1] for row in sections["containers"].rows} == {"healthy"}
    assert {"patroni1", "patroni2"} <= {row[0] for row in sections["memory by service"].rows}
    assert [row[0] for row in sections["colours"].rows] == ["app1", "app2"]
    assert sorted(row[1] for row in sections["database nodes"].rows) == ["leader", "sync_standby"]
    assert sections["disk"].rows[0][0] == "/"
    assert "connect" in {row[0] for row in sections["connections"].rows}
    secrets = sh(healthy_host, "sed -n 's/^[A-Z_]*=//p' /opt/connect/.env.production.local")
    shown = json.dumps([one.rows for one in sections.values()])
    assert [one for one in secrets.split() if len(one) > 8 and one in shown] == []
