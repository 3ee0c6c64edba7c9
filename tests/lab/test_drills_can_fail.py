"""A host that is broken on purpose makes the right drill miss the right objective.

A drill that can't fail proves nothing. Each of these takes away what makes one objective true, sees
that it is gone, and runs the drill on that host.
"""

import pytest

from chaos import drills
from chaos.run import run

pytestmark = pytest.mark.long

PATIENCE = 12.0
"""Seconds to wait for a recovery that must not come."""

PSQL = "runuser -u postgres -- psql -XAtc"
QUEUE = "/etc/redis/redis-queue.conf"
RESTART_QUEUE = "systemctl restart redis-queue"
CLI = f"REDISCLI_AUTH=$(sed -n 's/^requirepass //p' {QUEUE}) redis-cli -p 6380"


def no_restart(unit):
    """A drop-in that takes a unit's restart away, and what shows that it has landed."""
    folder = f"/etc/systemd/system/{unit}.d"
    return (
        f"mkdir -p {folder}; printf '[Service]\\nRestart=no\\n' >{folder}/zz-broken.conf; "
        "systemctl daemon-reload",
        f"systemctl show -p Restart --value {unit}",
        "no",
    )


def edited(file, command, restart, shown, is_then):
    """A change of a file by sed, and what shows that it has landed."""
    return f"sed -i '{command}' {file}; {restart}", shown, is_then


def nothing(script):
    """One of the host's procedures, replaced by one that does nothing and says that all is well."""
    path = f"/opt/connect/scripts/{script}"
    return f"printf '#!/bin/sh\\nexit 0\\n' >{path}", f"tail -1 {path}", "exit 0"


BACKUP_ONLY = "pgrep -f pgbackrest.*backup >/dev/null || exit 0; pgbackrest archive-push %p"
"""Archives what a backup needs, drops everything else, and calls both a success."""

BROKEN = {
    "postgres-killed": (*no_restart("postgresql@15-main.service"), "rto_writes"),
    "pgbouncer-killed": (*no_restart("pgbouncer.service"), "rto_writes"),
    "queue-killed": (*no_restart("redis-queue.service"), "rto_jobs"),
    "nginx-killed": (*no_restart("nginx.service"), "rto_reads"),
    "pm2-killed": (*no_restart("connect.service"), "rto_reads"),
    "cache-dead": (
        "printf '[Unit]\\nBindsTo=redis-cache.service\\n' "
        ">/etc/systemd/system/connect.service.d/zz-broken.conf; systemctl daemon-reload",
        "systemctl show -p BindsTo --value connect.service",
        "redis-cache.service",
        "downtime_reads",
    ),
    "postgres-power-cut": (
        f"{PSQL} 'ALTER SYSTEM SET synchronous_commit = off'; systemctl restart postgresql@15-main",
        f"{PSQL} 'SHOW synchronous_commit'",
        "off",
        "lost_writes",
    ),
    "queue-power-cut": (
        *edited(QUEUE, "s/^appendfsync .*/appendfsync no/", RESTART_QUEUE,
                f"{CLI} CONFIG GET appendfsync | tail -1", "no"),
        "rpo_jobs",
    ),
    "queue-full": (
        *edited(QUEUE, "s/^maxmemory-policy .*/maxmemory-policy allkeys-lru/", RESTART_QUEUE,
                f"{CLI} CONFIG GET maxmemory-policy | tail -1", "allkeys-lru"),
        "refused_jobs",
    ),
    "deployment": (
        *edited("/opt/connect/scripts/lib/releases.sh", "s/reload-or-restart/restart/", ":",
                "grep -c 'systemctl reload-or-restart' /opt/connect/scripts/lib/releases.sh || :",
                "0"),
        "downtime_reads",
    ),
    "rollback": (*nothing("rollback.sh"), "takes"),
    "data-directory-lost": (
        f"{PSQL} \"ALTER SYSTEM SET archive_command = '{BACKUP_ONLY}'\" "
        "-c 'SELECT pg_reload_conf()'",
        f"{PSQL} 'SHOW archive_command'",
        BACKUP_ONLY,
        "rpo_writes",
    ),
    "bad-migration": (*nothing("restore-database.sh"), "rto_reads"),
    "application-lost": (*nothing("restore-system.sh"), "rto_reads"),
    "alert-database-down": (
        *edited("/etc/prometheus/rules/*.yml", "s/alert: DatabaseDown/alert: Nothing/",
                "systemctl reload prometheus",
                "grep -c DatabaseDown /etc/prometheus/rules/connect.yml || :", "0"),
        "fires_DatabaseDown",
    ),
}  # fmt: skip


def sh(host, script):
    code, output = host.exec(script)
    assert code == 0, output
    return output.strip()


@pytest.fixture
def fresh(lab, snapshot):
    """A provisioned host for one test: what was broken on it must not reach the next."""
    host = lab.up("broken", snapshot)
    yield host
    host.remove()


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_host_makes_its_drill_fail(fresh, tmp_path, name):
    breaking, showing, broken, objective = BROKEN[name]
    sh(fresh, breaking)
    assert sh(fresh, showing) == broken, "the host is not broken as intended"
    drill = drills.find(name)
    if objective.startswith("rto"):
        drill = drill.model_copy(update={"limit": PATIENCE})
    journal = run(fresh.target(), drill, tmp_path, print)
    missed = {one.name for one in journal.objectives if one.met is False}
    assert objective in missed, (journal.verdict, journal.reasons)
    assert journal.verdict in ("missed", "not_restored")


def test_without_fsync_a_power_cut_takes_acknowledged_writes(fresh, tmp_path):
    """The files are not even consistent: the server may not start again; that is no pass either."""
    sh(fresh, f"{PSQL} 'ALTER SYSTEM SET fsync = off'; systemctl restart postgresql@15-main")
    assert sh(fresh, f"{PSQL} 'SHOW fsync'") == "off"
    drill = drills.find("postgres-power-cut").model_copy(update={"limit": PATIENCE})
    journal = run(fresh.target(), drill, tmp_path, print)
    assert journal.verdict in ("missed", "not_restored"), journal.reasons
    lost = next(one for one in journal.objectives if one.name == "lost_writes")
    assert lost.met is not True
