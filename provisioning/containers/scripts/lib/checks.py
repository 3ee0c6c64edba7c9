"""The checks of a Docker host's health: each returns what it found, or raises Wrong.

They run on the host under its own Python and may use the standard library only.
"""

import csv
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
)

COMPOSE_FILE = f"{BASE}/docker-compose.production.yml"
SOCKET = "/var/run/haproxy/admin.sock"
COLOURS = {"app1": "blue", "app2": "green"}
NODES = ("patroni1", "patroni2")

DISKS = ("/", BASE, "/var/lib/docker", "/backups")
"""What the platform lies on."""

CONNECTIONS_LIMIT = 90
"""Percent of max_connections."""

LAG_LIMIT = 16 << 20
"""Bytes that the replica may be behind: one file of WAL. Ours."""

REDIS_LIMIT = 95
"""Percent of its memory: beyond, it evicts what has a time to live, and then refuses. Ours."""

COLOUR_ERRORS_LIMIT = 10
"""Lines in five minutes in the log of the colour that serves: document S, Deployment process, 6."""

BACKUP_AGE_LIMIT = 26 * 3600
"""Seconds. Database and dump are backed up daily at 2; two hours to make them."""

SYSTEM_AGE_LIMIT = 45 * 60
"""Seconds. Redis and uploads are backed up every 15 minutes; two may fail."""


def inspected():
    """Return what the engine says of each container, by its name."""
    names = run("docker", "ps", "--all", "--quiet").split()
    found = json.loads(run("docker", "inspect", *names)) if names else []
    return {one["Name"].removeprefix("/"): one for one in found}


def query(sql):
    """Ask the primary, wherever it is, as the application."""
    return run(
        "docker", "exec", "connect_postgres", "psql", "-XAtq", "-U", "connect", "-d", "connect",
        "-c", sql,
    )  # fmt: skip


def servers():
    """Return HAProxy's state of each colour."""
    rows = csv.DictReader(run("socat", "-t", "5", "-", SOCKET, stdin="show stat\n").splitlines())
    found = {row["svname"]: row["status"] for row in rows if row["# pxname"] == "connect"}
    if not set(COLOURS) <= set(found):
        raise Wrong(f"HAProxy knows {', '.join(found) or 'no server'}")
    return found


def serving():
    """Return the colour that new requests go to: app1 while it is up, else its backup."""
    return "app1" if servers()["app1"].startswith("UP") else "app2"


def release(container):
    """Return the release that a container runs."""
    return container["Config"]["Labels"].get("connect.version", "without a version")


# --- services ----------------------------------------------------------------------------------


def containers():
    """Every container of the compose file runs and is healthy by its own check."""
    with open(COMPOSE_FILE, encoding="utf-8") as lines:
        names = re.findall(r"container_name: (\S+)", lines.read())
    if not names:
        raise Wrong(f"{COMPOSE_FILE} names no container")
    there = inspected()
    states = {name: condition(there.get(name)) for name in names}
    wrong = [f"{name} is {state}" for name, state in states.items() if state != "healthy"]
    if wrong:
        raise Wrong(", ".join(wrong))
    restarts = sum(there[name]["RestartCount"] for name in names)
    return f"{len(names)} are healthy, {restarts} restarts since they were made"


def condition(container):
    """Return healthy, or what else a container is."""
    if container is None:
        return "not there"
    state = container["State"]
    if not state["Running"] or "Health" not in state:
        return state["Status"]
    return state["Health"]["Status"]


def monitoring():
    """Prometheus answers, and reaches everything that it scrapes."""
    said = run("curl", "-sSf", "--max-time", "10", "http://127.0.0.1:9090/api/v1/targets")
    targets = json.loads(said)["data"]["activeTargets"]
    down = [
        f"{one['labels']['job']} {one['scrapeUrl']}" for one in targets if one["health"] != "up"
    ]
    if down or not targets:
        raise Wrong(f"not reached: {', '.join(down)}" if down else "it scrapes nothing")
    return f"{len(targets)} targets are up"


def alerts():
    """No alert fires."""
    said = run("curl", "-sSf", "--max-time", "10",
               "http://127.0.0.1:9093/api/v2/alerts?active=true")  # fmt: skip
    firing = sorted({one["labels"]["alertname"] for one in json.loads(said)})
    if firing:
        raise Wrong(f"{', '.join(firing)}; see: docker logs alert_log")
    return "none fires"


# --- data --------------------------------------------------------------------------------------


def database():
    """A query is answered by a primary, through the door that the applications use."""
    connections, most, recovery, uptime = query(
        "SELECT count(*), current_setting('max_connections'), pg_is_in_recovery(),"
        " date_trunc('second', now() - pg_postmaster_start_time()) FROM pg_stat_activity"
    ).split("|")
    if recovery != "f":
        raise Wrong("it is in recovery: nothing can be written")
    text = f"{connections} of {most} connections, up {uptime}"
    return at_most(100 * int(connections) / int(most), CONNECTIONS_LIMIT, text)


def members():
    """Return the nodes as one that answers sees them."""
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    for node in NODES:
        try:
            address = run("docker", "inspect", "--format", form, node)
            said = run("curl", "-sSf", "--max-time", "3", f"http://{address}:8008/cluster")
        except Wrong:
            continue
        return json.loads(said)["members"]
    raise Wrong("Patroni answers on no node")


def replication():
    """One node is the primary, the other its synchronous replica, and near it."""
    found = members()
    text = ", ".join(f"{one['name']} {one['role']} {one['state']}" for one in found)
    if sorted(one["role"] for one in found) != ["leader", "sync_standby"]:
        raise Wrong(text)
    (replica,) = [one for one in found if one["role"] == "sync_standby"]
    if not isinstance(replica.get("lag"), int):
        raise Wrong(f"{text}, lag {replica.get('lag', 'unknown')}")
    return at_most(replica["lag"], LAG_LIMIT, f"{text}, {replica['lag']} bytes behind")


def redis():
    """It answers to its password, and has room left."""
    said = run(
        "docker", "exec", "--interactive", "connect_redis", "redis-cli",
        stdin="PING\nINFO memory\n",
    )  # fmt: skip
    figures = dict(line.strip().split(":", 1) for line in said.splitlines() if ":" in line)
    if not said.startswith("PONG") or "used_memory" not in figures:
        raise Wrong(said.partition("\n")[0] or "no answer")
    used, most = int(figures["used_memory"]), int(figures["maxmemory"])
    text = f"{used / 2**20:.0f} of {most / 2**20:.0f} MiB used"
    return at_most(100 * used / most if most else 0, REDIS_LIMIT, text)


# --- the application ---------------------------------------------------------------------------


def colours():
    """Both colours are healthy for HAProxy; who serves, and what each of them runs."""
    states, there = servers(), inspected()
    runs = {app: release(there[f"connect_{app}"]) for app in COLOURS if f"connect_{app}" in there}
    text = ", ".join(f"{app} {states[app]} {runs.get(app, 'not there')}" for app in COLOURS)
    if len(runs) < len(COLOURS) or not all(
        states[app].startswith(("UP", "DRAIN")) for app in COLOURS
    ):
        raise Wrong(text)
    return f"{text}; {serving()} serves"


def switching():
    """No deployment or rollback was left half-way: tags and containers agree."""
    if subprocess.run(["flock", "--nonblock", f"{BASE}/state/lock", "true"]).returncode:
        return "a deployment or rollback is running"
    there = inspected()
    for app, colour in COLOURS.items():
        runs = there.get(f"connect_{app}", {}).get("Image")
        if run("docker", "image", "inspect", "--format", "{{.Id}}", f"connect:{colour}") != runs:
            raise Wrong(f"connect_{app} does not run connect:{colour}; just deploy again")
    left = [name for name in os.listdir(f"{BASE}/build") if name.startswith(".release-")]
    if left:
        raise Wrong("a deployment was killed; just deploy again")
    return "none is unfinished"


def api():
    """The front door answers over HTTPS, with the release of the colour that serves."""
    return front_door(release(inspected()[f"connect_{serving()}"]))


def errors():
    """Errors of the last hour in the system's journal, of five minutes in the serving colour."""
    done = subprocess.run(
        ["docker", "logs", "--since", "5m", f"connect_{serving()}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, check=True,
        errors="replace",
    )  # fmt: skip
    colour = sum("error" in line.lower() for line in done.stdout.splitlines())
    text = f"{journal_errors()} of the system in an hour, {colour} of {serving()} in five minutes"
    at_most(colour, COLOUR_ERRORS_LIMIT, text)
    return at_most(int(text.split()[0]), ERRORS_LIMIT, text)


# --- backups -----------------------------------------------------------------------------------


def backup():
    """The last database backup: its age, that it is whole, and that WAL is being archived."""
    (leader,) = [one["name"] for one in members() if one["role"] == "leader"]
    said = run("docker", "exec", leader, "pgbackrest", f"--stanza={SETTINGS['STANZA']}",
               "--log-level-console=error", "info", "--output=json")  # fmt: skip
    info = json.loads(said)[0]
    if info["status"]["code"] != 0:
        raise Wrong(f"{info['status']['message']}; make one: connect-infra backup")
    last = info["backup"][-1]
    if last.get("error"):
        raise Wrong(f"backup {last['label']} has damaged pages")
    failed = query(
        "SELECT last_failed_wal FROM pg_stat_archiver WHERE last_failed_time >"
        " coalesce(last_archived_time, '-infinity')"
    )
    if failed:
        raise Wrong(f"WAL is not archived: {failed} failed")
    age = time.time() - last["timestamp"]["stop"]
    return young(age, BACKUP_AGE_LIMIT, last["label"])


def dump():
    """The last dump of the database, which a deployment asks for."""
    return young_file("/backups/postgres/latest.sql", BACKUP_AGE_LIMIT)


def system_backup():
    """The last copy of Redis' data; the uploads are copied with it."""
    return young_file("/backups/redis/dump.rdb", SYSTEM_AGE_LIMIT)


def young_file(path, limit):
    """Judge a backup by when it was made; Wrong when there is none."""
    if not os.path.exists(path):
        raise Wrong(f"there is no {path}; make one: connect-infra backup")
    return young(time.time() - os.stat(path).st_mtime, limit, os.path.realpath(path))


def young(age, limit, what):
    """Say how old a backup is; Wrong when it is older than `limit` seconds."""
    text = f"{what}, {age / 60:.0f} minutes old"
    if age > limit:
        raise Wrong(f"{text}; the limit is {limit // 60}")
    return text


CHECKS = {
    "load": ("resources", load),
    "memory": ("resources", memory),
    "disk": ("resources", lambda: disks(*DISKS)),
    "containers": ("services", containers),
    "monitoring": ("services", monitoring),
    "alerts": ("services", alerts),
    "database": ("database", database),
    "replication": ("database", replication),
    "redis": ("redis", redis),
    "colours": ("application", colours),
    "switching": ("application", switching),
    "api": ("api", api),
    "certificate": ("api", certificate),
    "errors": ("errors", errors),
    "backup": ("backup", backup),
    "dump": ("backup", dump),
    "system-backup": ("backup", system_backup),
}
"""Every check by its name, with the part of the platform that it belongs to."""
