"""The checks of a host's health: each returns what it found, or raises Wrong.

They run on the host under its own Python and may use the standard library only.
"""

import glob
import json
import os
import re
import subprocess
import time

from watching import (
    BASE,
    ERRORS_LIMIT,
    SETTINGS,
    Wrong,
    at_most,
    certificate,
    disks,
    front_door,
    journal_errors,
    load,
    memory,
    run,
)  # fmt: skip

STATE = "/var/lib/connect-infra/releases"
SERVICES = (
    "postgresql@15-main", "pgbouncer", "redis-cache", "redis-queue", "nginx", "connect", "cron",
)  # fmt: skip
"""Document A, 7.2, and what it leaves out: the pool, the schedule of backups. postgresql.service
is active while its cluster is down."""

LOG_LIMIT = 1 << 30
"""Bytes of one log file: beyond, it is not being rotated. Ours."""

CONNECTIONS_LIMIT = 90
"""Percent of max_connections."""

QUEUE_LIMIT = 90
"""Percent of its memory: at 100 the queue refuses jobs, because it evicts nothing."""

BACKUP_AGE_LIMIT = 26 * 3600
"""Seconds. Backups are made daily at 2 (document A, 4.1); two hours to make one."""


def query(sql, *options):
    """Ask the server itself, or with options whoever they lead to."""
    where = options or ("-U", "postgres")
    as_postgres = () if options else ("runuser", "-u", "postgres", "--")
    password = {"PGPASSWORD": secret("DATABASE_URL"), "PGCONNECT_TIMEOUT": "5"} if options else None
    return run(
        *as_postgres, "psql", "-XAtq", *where, "-d", "connect", "-c", sql, environment=password
    )


def secret(name):
    """Return the password in a URL of the environment file."""
    with open(f"{BASE}/shared/config/.env.production", encoding="utf-8") as lines:
        for line in lines:
            found = re.match(rf'{name}="?\w+://[^:]*:([^@]*)@', line)
            if found:
                return found[1]
    raise Wrong(f"no password in {name} of .env.production")


# --- services ----------------------------------------------------------------------------------


def services():
    """Every service of the platform is active."""
    states = dict(zip(SERVICES, unit_states(), strict=True))
    down = [f"{name} is {state}" for name, state in states.items() if state != "active"]
    if down:
        raise Wrong(", ".join(down))
    return f"{len(states)} are active"


def unit_states():
    """Return the ActiveState of each, in order; a unit that is not there is inactive."""
    shown = run("systemctl", "show", "--property=ActiveState", "--value", *SERVICES)
    return [line for line in shown.splitlines() if line]


def database():
    """A query is answered; connections, and how long it has been up."""
    connections, most, uptime = query(
        "SELECT count(*), current_setting('max_connections'),"
        " date_trunc('second', now() - pg_postmaster_start_time()) FROM pg_stat_activity"
    ).split("|")
    if query("SELECT pg_is_in_recovery()") != "f":
        raise Wrong("it is in recovery: nothing can be written")
    text = f"{connections} of {most} connections, up {uptime}"
    return at_most(100 * int(connections) / int(most), CONNECTIONS_LIMIT, text)


def pool():
    """A query is answered through PgBouncer, with the application's password."""
    query("SELECT 1", "-h", "127.0.0.1", "-p", SETTINGS["POOL_PORT"], "-U", "connect")
    return "a query is answered"


def redis(name):
    """The server answers to its password, and has room left if it never evicts."""
    port = SETTINGS[f"REDIS_{name}_PORT"]
    said = run(
        "redis-cli", "--no-auth-warning", "-h", "127.0.0.1", "-p", port,
        stdin="PING\nINFO memory\n", environment={"REDISCLI_AUTH": secret(f"REDIS_{name}_URL")},
    )  # fmt: skip
    figures = dict(line.strip().split(":", 1) for line in said.splitlines() if ":" in line)
    if not said.startswith("PONG") or "used_memory" not in figures:
        raise Wrong(said.partition("\n")[0] or f"no answer on port {port}")
    used, most = int(figures["used_memory"]), int(figures["maxmemory"])
    text = f"{used / 2**20:.0f} of {most / 2**20:.0f} MiB used"
    limit = QUEUE_LIMIT if figures["maxmemory_policy"] == "noeviction" else 110
    return at_most(100 * used / most if most else 0, limit, text)


# --- the application ---------------------------------------------------------------------------


def release():
    """Return name and version of the current release; Wrong when none was deployed."""
    path = os.path.realpath(f"{BASE}/current")
    try:
        with open(f"{path}/VERSION", encoding="utf-8") as file:
            return path, file.readline().strip()
    except OSError:
        raise Wrong("no release has been deployed") from None


def application():
    """PM2's processes are online, and every one is of the current release."""
    path, version = release()
    listed = run("runuser", "-u", "connect", "--", "env", "HOME=/home/connect",
                 "PM2_HOME=/home/connect/.pm2", "pm2", "jlist", "--silent")  # fmt: skip
    found = json.loads(listed[listed.index("[") :])
    states = [each["pm2_env"]["status"] for each in found]
    if not states or set(states) != {"online"}:
        raise Wrong(f"PM2's processes are {', '.join(states) or 'none'}")
    others = [each["pid"] for each in found if os.readlink(f"/proc/{each['pid']}/cwd") != path]
    if others:
        raise Wrong(f"{len(others)} of {len(found)} processes run another release than current")
    return f"{len(states)} processes online, version {version}"


def switching():
    """No deployment or rollback was left half-way."""
    if os.path.exists(f"{STATE}/switching"):
        busy = subprocess.run(["flock", "--nonblock", f"{STATE}/lock", "true"]).returncode
        if busy:
            return "a deployment or rollback is running"
        raise Wrong("one was killed; clean up with deploy.sh --recover, or just deploy again")
    return "none is unfinished"


# --- logs and backups --------------------------------------------------------------------------


def logs():
    """How big the application's logs are."""
    sizes = {path: os.path.getsize(path) for path in glob.glob(f"{BASE}/shared/logs/*.log")}
    text = ", ".join(f"{os.path.basename(path)} {size / 2**20:.1f} MiB" for path, size in
                     sorted(sizes.items())) or "none yet"  # fmt: skip
    return at_most(max(sizes.values(), default=0), LOG_LIMIT, text)


def errors():
    """Errors of the last hour: the system's journal, and the application's log."""
    system, application = journal_errors(), recent(f"{BASE}/shared/logs/error.log")
    text = f"{system} of the system and {application} of the application in the last hour"
    return at_most(max(system, application), ERRORS_LIMIT, text)


def recent(path):
    """Return how many of the last 10,000 lines are of the last hour, by the time that PM2 adds."""
    if not os.path.exists(path):
        return 0
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() - 3600))
    lines = run("tail", "-n", "10000", path).splitlines()
    return sum(re.match(r"\d{4}-\d\d-\d\dT", line) is not None and line[:19] > since
               for line in lines)  # fmt: skip


def backup():
    """The last database backup: its age, that it is whole, and that WAL is being archived."""
    info = json.loads(run("runuser", "-u", "postgres", "--", "pgbackrest", "info", "--output=json",
                          f"--stanza={SETTINGS['STANZA']}"))[0]  # fmt: skip
    if info["status"]["code"] != 0:
        raise Wrong(f"{info['status']['message']}; make one: connect-infra backup")
    last = info["backup"][-1]
    if last.get("error"):
        raise Wrong(f"backup {last['label']} has damaged pages")
    archiver = query("SELECT coalesce(last_failed_time > last_archived_time"
                     ", last_failed_time IS NOT NULL), last_failed_wal FROM pg_stat_archiver"
                     )  # fmt: skip
    if archiver.startswith("t"):
        raise Wrong(f"WAL is not archived: {archiver[2:]} failed")
    age = time.time() - last["timestamp"]["stop"]
    text = f"{last['label']}, {age / 3600:.1f} hours old"
    if age > BACKUP_AGE_LIMIT:
        raise Wrong(f"{text}; the limit is {BACKUP_AGE_LIMIT // 3600}")
    return text


DISKS = ("/", BASE, f"{BASE}/releases", f"{BASE}/backup", "/var/lib/postgresql")
"""What the platform lies on."""

CHECKS = {
    "load": ("resources", load),
    "memory": ("resources", memory),
    "disk": ("resources", lambda: disks(*DISKS)),
    "services": ("services", services),
    "database": ("database", database),
    "pool": ("database", pool),
    "redis-cache": ("redis", lambda: redis("CACHE")),
    "redis-queue": ("redis", lambda: redis("QUEUE")),
    "application": ("application", application),
    "switching": ("application", switching),
    "api": ("api", lambda: front_door(release()[1])),
    "certificate": ("api", certificate),
    "logs": ("logs", logs),
    "errors": ("errors", errors),
    "backup": ("backup", backup),
}
"""Every check by its name, with the part of document A's 7.2 that it belongs to."""
