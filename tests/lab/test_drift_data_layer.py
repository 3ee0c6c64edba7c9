"""Drift: a change on a live host that breaks one control turns that control's spec red.

Each drift is made, seen by the specs with its value, and mended; nothing else of its component may
turn red, and when it is mended all of the component is as before.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.long  # minutes on two cores; `make proofs` runs it

ROOT = Path(__file__).resolve().parents[2]
SQL = "cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -c"
RELOAD = f'{SQL} "SELECT pg_reload_conf()" >/dev/null && sleep 0.3'
AUTO = f'{SQL} "ALTER SYSTEM RESET ALL" && {RELOAD}'
# PgBouncer lets its own system user in by its socket.
CONSOLE = "cd / && runuser -u postgres -- psql -XAtq -p 6432 -h /var/run/postgresql -U pgbouncer "
CONSOLE += "pgbouncer -c"
INI = "/etc/pgbouncer/pgbouncer.ini"
CACHE = "/etc/redis/redis-cache.conf"
QUEUE = "/etc/redis/redis-queue.conf"
LINE = "/etc/postgresql/15/main/conf.d/zz-drift.conf"
PGBACKREST = "/etc/pgbackrest/pgbackrest.conf"
CRON = "/etc/cron.d/pgbackrest"


def ask_redis(port, file, command, password=None):
    """Ask as somebody who knows the password: the one in the file, or another."""
    read = f'sed -n \'s/^requirepass *"*\\([^"]*\\)"*$/\\1/p\' {file}'
    told = f"REDISCLI_AUTH={password}" if password else "REDISCLI_AUTH=$secret"
    return (
        f'secret=$({read}); test -n "$secret"; test "$({told} redis-cli -p {port} {command})" = OK'
    )


def edit(file, change):
    return f"cp -p {file} /root/kept && sed -i '{change}' {file} && ! cmp -s {file} /root/kept"


def put_back(file):
    return f"mv /root/kept {file}"


@dataclass(frozen=True)
class Drift:
    """What breaks a control, what mends it, and what the control's message must show."""

    name: str
    control: str
    make: str
    mend: str
    seen: str
    status: str = "fail"
    takes_all: bool = False
    """Whether the rest of the component can't be observed any more."""


DRIFTS = [
    Drift(
        "altered-system",
        "postgresql.work_mem",
        f"{SQL} \"ALTER SYSTEM SET work_mem = '3MB'\" && {RELOAD}",
        AUTO,
        "3MB",
    ),
    Drift(
        "file-changed-not-loaded",
        "postgresql.random_page_cost",
        f"echo 'random_page_cost = 9.5' > {LINE} && chmod 644 {LINE}",
        f"rm {LINE}",
        "9.5",
    ),
    Drift(
        "waits-for-a-restart",
        "postgresql.shared_buffers",
        f"{SQL} \"ALTER SYSTEM SET shared_buffers = '129MB'\" && {RELOAD}",
        AUTO,
        "129MB",
    ),
    Drift(
        "another-value-for-the-role",
        "postgresql.log_min_duration_statement",
        f'{SQL} "ALTER ROLE connect SET log_min_duration_statement = 77"',
        f'{SQL} "ALTER ROLE connect RESET ALL"',
        "77",
    ),
    Drift(
        "a-role-with-all-rights",
        "postgresql.role",
        f'{SQL} "ALTER ROLE connect SUPERUSER"',
        f'{SQL} "ALTER ROLE connect NOSUPERUSER"',
        "superuser",
    ),
    Drift(
        "no-password-needed",
        "postgresql.role",
        edit(
            "/etc/postgresql/15/main/pg_hba.conf",
            "1i host connect connect 127.0.0.1/32 trust",
        )
        + f" && {RELOAD}",
        f"{put_back('/etc/postgresql/15/main/pg_hba.conf')} && {RELOAD}",
        "trust",
    ),
    Drift(
        "another-owner",
        "postgresql.database",
        f'{SQL} "ALTER DATABASE connect OWNER TO postgres"',
        f'{SQL} "ALTER DATABASE connect OWNER TO connect"',
        "connect, owner postgres",
    ),
    Drift(
        "changed-in-the-console",
        "pgbouncer.default_pool_size",
        f'{CONSOLE} "SET default_pool_size = 7"',
        f'{CONSOLE} "RELOAD"',
        "7",
    ),
    Drift(
        "pooler-file-changed-not-loaded",
        "pgbouncer.max_client_conn",
        edit(INI, "s/^max_client_conn.*/max_client_conn = 5000/"),
        put_back(INI),
        "5000",
    ),
    Drift(
        "paused",
        "pgbouncer.databases.connect",
        f'{CONSOLE} "PAUSE connect"',
        f'{CONSOLE} "RESUME connect"',
        "paused=1",
    ),
    Drift(
        "cache-changed-at-run-time",
        "redis-cache.maxmemory-policy",
        ask_redis(6379, CACHE, "CONFIG SET maxmemory-policy noeviction"),
        ask_redis(6379, CACHE, "CONFIG SET maxmemory-policy allkeys-lru"),
        "noeviction",
    ),
    Drift(
        "cache-saves",
        "redis-cache.save",
        ask_redis(6379, CACHE, "CONFIG SET save '900 1'"),
        ask_redis(6379, CACHE, "CONFIG SET save ''"),
        "900 1",
    ),
    Drift(
        "queue-file-changed-not-loaded",
        "redis-queue.appendfsync",
        edit(QUEUE, "s/^appendfsync .*/appendfsync no/"),
        put_back(QUEUE),
        "redis-queue.conf has another value: expected 'everysec', found 'no'",
    ),
    Drift(
        "another-password",
        "redis-cache.requirepass",
        ask_redis(6379, CACHE, "CONFIG SET requirepass drifted"),
        ask_redis(6379, CACHE, "CONFIG SET requirepass $secret", password="drifted"),
        "another value",
        takes_all=True,
    ),
    Drift(
        "fewer-backups-kept",
        "pgbackrest.global.repo1-retention-full",
        edit(PGBACKREST, "s/^repo1-retention-full=.*/repo1-retention-full=2/"),
        put_back(PGBACKREST),
        "2",
    ),
    Drift(
        "included-file-wins",
        "pgbackrest.global.repo1-retention-diff",
        "mkdir -p /etc/pgbackrest/conf.d && "
        "printf '[global:backup]\\nrepo1-retention-diff=9\\n' > /etc/pgbackrest/conf.d/drift.conf",
        "rm /etc/pgbackrest/conf.d/drift.conf",
        "9",
    ),
    Drift(
        "backup-at-another-hour",
        "cron.pgbackrest.full",
        edit(CRON, "s/^0 2 \\* \\* 0 /0 3 * * 0 /"),
        put_back(CRON),
        "0 3 * * 0",
    ),
    Drift(
        "cron-ignores-the-table",
        "cron.pgbackrest.diff",
        f"chmod 666 {CRON}",
        f"chmod 644 {CRON}",
        "found ''",
        takes_all=True,
    ),
    Drift(
        "everybody-may-write",
        "layout.shared/uploads",
        "chmod 777 /opt/connect/shared/uploads",
        "chmod 755 /opt/connect/shared/uploads",
        "everybody may write it",
    ),
    Drift(
        "a-directory-is-gone",
        "layout.shared/logs",
        "mv /opt/connect/shared/logs /root/logs",
        "mv /root/logs /opt/connect/shared/logs",
        "missing",
    ),
    Drift(
        "not-started-at-boot",
        "stack.pool",
        "systemctl -q disable pgbouncer.service",
        "systemctl -q enable pgbouncer.service",
        "disabled",
    ),
    Drift(
        "a-service-is-down",
        "stack.queue",
        "systemctl stop redis-queue.service",
        "systemctl start redis-queue.service",
        "inactive (dead)",
    ),
]


@pytest.fixture(scope="module")
def verdicts(host, tmp_path_factory):
    """Run the specs of one component and return its controls' results."""
    path = tmp_path_factory.mktemp("drift") / "results.json"

    def verify(component):
        options = ["--target", host.target_name, "--component", component, "--results", str(path)]
        path.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", "specs/native", "-q", *options]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert path.exists(), said.stdout + said.stderr
        results = json.loads(path.read_text())["controls"]
        assert results, f"no spec of {component} has run"
        return {result["id"]: result for result in results}

    return verify


@pytest.fixture(scope="module")
def sound(verdicts):
    """What is wrong with a component while nothing has drifted, asked once."""
    known = {}

    def ask(component):
        if component not in known:
            known[component] = wrong(verdicts(component))
        return known[component]

    return ask


def done(host, script):
    code, said = host.exec(f"set -e; {script}")
    assert code == 0, f"void: {script!r} did not take effect: {said}"


def wrong(controls):
    return {name for name, one in controls.items() if one["status"] in {"fail", "error"}}


@pytest.mark.parametrize("drift", DRIFTS, ids=lambda drift: f"{drift.control}-{drift.name}")
def test_the_controls_own_spec_turns_red_and_green_again(drift, host, verdicts, sound):
    component = next(
        name
        for name in ("cron.pgbackrest", drift.control.partition(".")[0])
        if drift.control.startswith(f"{name}.")
    )
    before = sound(component)
    assert drift.control not in before
    done(host, drift.make)
    try:
        drifted = verdicts(component)
    finally:
        done(host, drift.mend)
    assert drifted[drift.control]["status"] == drift.status, drifted[drift.control]
    assert drift.seen in drifted[drift.control]["message"]
    assert drift.takes_all or wrong(drifted) - before == {drift.control}
    assert wrong(verdicts(component)) == before
