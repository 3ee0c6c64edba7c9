"""Looks around on the host (document A, 8.1); travels there as text and uses Python's library only.

`main` is told the topology and returns the sections in order:
{title: {"rows": [[...], ...], "hint": what to do about it}}.
A section that can't be observed says why; the others are unaffected.
"""

import collections
import csv
import glob
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable

BASE = "/opt/connect"
Rows = list[list[str]]

LINES = 10
"""How many of the newest lines and the biggest things are shown."""

SECRETS = re.compile(r"(://[^:/\s]*:)[^@\s]*@|(password\s*[=:]?\s*)'[^']*'", re.IGNORECASE)


def run(*command: str) -> str:
    """What a command prints; RuntimeError with its last words when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd="/")
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip() or f"{command[0]} failed").splitlines()[0])
    return done.stdout


def query(sql: str) -> Rows:
    """The rows of a query to the server itself; on a Docker host, to the primary."""
    psql = ("psql", "-XAtq", "-F", "\t", "-U", "postgres", "-d", "connect", "-c")
    nodes = [name for name in containers() if name.startswith("patroni")]
    for node in nodes:
        if run("docker", "exec", node, *psql, "SELECT pg_is_in_recovery()").strip() == "f":
            said = run("docker", "exec", node, *psql, sql)
            break
    else:
        if nodes:
            raise RuntimeError("no node is the primary")
        said = run("runuser", "-u", "postgres", "--", *psql, sql)
    return [line.split("\t") for line in said.splitlines()]


def containers() -> dict[str, str]:
    """The running containers: name to id; none on a native host."""
    if shutil.which("docker") is None:
        return {}
    said = run("docker", "ps", "--no-trunc", "--format", "{{.Names}} {{.ID}}")
    return dict(line.split() for line in said.splitlines())


def mebibytes(size: float) -> str:
    """A number of bytes for a person."""
    return f"{size / 2**20:.1f} MiB"


def _hidden(found: re.Match[str]) -> str:
    return f"{found[1]}…@" if found[1] else f"{found[2]}'…'"


def shown(line: str) -> str:
    """A line without passwords, not longer than a person reads."""
    hidden = SECRETS.sub(_hidden, line)
    return hidden.strip()[:240]


def memory() -> Rows:
    """What each unit's processes really take: what several share is divided among them."""
    names = {f"docker-{number}.scope": name for name, number in containers().items()}
    units: collections.Counter[str] = collections.Counter()
    for path in glob.glob("/proc/[0-9]*/smaps_rollup"):
        try:
            with open(path) as rollup, open(path.replace("smaps_rollup", "cgroup")) as groups:
                size = sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
                unit = re.search(r"([^/\s]+\.(?:service|scope))\s", groups.read())
        except OSError:  # it has ended, or is the kernel's
            continue
        units[unit[1] if unit else "no unit"] += size * 1024
    return [[names.get(unit, unit), mebibytes(size)] for unit, size in units.most_common(LINES)]


def connections() -> Rows:
    """How many there are of each user in each state."""
    return query(
        "SELECT coalesce(usename, backend_type), coalesce(state, ''), count(*)"
        " FROM pg_stat_activity GROUP BY 1, 2 ORDER BY 3 DESC"
    )


def slow_queries() -> Rows:
    """Running now for more than a second, and logged as slow (log_min_duration_statement)."""
    rows = running_for_long()
    log = run("tail", "--lines=20000", "/var/log/postgresql/postgresql-15-main.log")
    found = re.findall(r"duration: ([\d.]+) ms\s+(?:statement|execute [^:]*): ([^\n]*)", log)
    slowest = sorted(found, key=lambda each: -float(each[0]))[:LINES]
    return rows + [["logged", f"{float(ms) / 1000:.2f} s", "", text] for ms, text in slowest]


def running_for_long() -> Rows:
    """Running now for more than a second."""
    return query(
        "SELECT 'now', date_trunc('millisecond', now() - query_start), pid,"
        " regexp_replace(query, '\\s+', ' ', 'g') FROM pg_stat_activity WHERE state = 'active'"
        " AND pid <> pg_backend_pid() AND now() - query_start > interval '1 second'"
    )


def locks() -> Rows:
    """Who waits for whom."""
    return query(
        "SELECT waiting.pid, date_trunc('second', now() - waiting.query_start),"
        " 'waits for', blocking.pid, blocking.state, left(blocking.query, 100)"
        " FROM pg_stat_activity waiting"
        " CROSS JOIN unnest(pg_blocking_pids(waiting.pid)) AS holder(pid)"
        " JOIN pg_stat_activity blocking ON blocking.pid = holder.pid"
    )


def pm2() -> Rows:
    """Its processes, and the release that each really runs."""
    said = run("runuser", "-u", "connect", "--", "env", "HOME=/home/connect",
               "PM2_HOME=/home/connect/.pm2", "pm2", "jlist", "--silent")  # fmt: skip
    return [
        [
            str(one["pid"]),
            one["pm2_env"]["status"],
            f"{one['pm2_env']['restart_time']} restarts",
            mebibytes(one["monit"]["memory"]),
            f"{one['monit']['cpu']} % CPU",
            f"up {(time.time() * 1000 - one['pm2_env']['pm_uptime']) / 60000:.0f} min",
            os.path.basename(os.readlink(f"/proc/{one['pid']}/cwd")) if one["pid"] else "",
        ]
        for one in json.loads(said[said.index("[") :])
    ]


def every_container() -> Rows:
    """How each one is, how often it was started again, what it takes, and what it is made of."""
    form = "{{.Name}}\t{{.CPUPerc}} CPU\t{{.MemUsage}}"
    takes = {
        line.split("\t")[0]: line.split("\t")[1:]
        for line in run("docker", "stats", "--no-stream", "--format", form).splitlines()
    }
    names = run("docker", "ps", "--all", "--format", "{{.Names}}").split()
    found = {
        one["Name"].removeprefix("/"): one for one in json.loads(run("docker", "inspect", *names))
    }
    return [
        [
            name,
            one["State"].get("Health", {}).get("Status", "") or one["State"]["Status"],
            f"{one['RestartCount']} restarts",
            *takes.get(name, ["", ""]),
            one["Config"]["Labels"].get("connect.version", one["Config"]["Image"]),
        ]
        for name, one in found.items()
    ]


def front_door() -> Rows:
    """Each colour as HAProxy has it: its state, what its last check found, its requests."""
    command = "echo 'show stat' | socat -t 5 - /var/run/haproxy/admin.sock"
    rows = csv.DictReader(run("/bin/sh", "-c", command).removeprefix("# ").splitlines())
    return [
        [row["svname"], row["status"], row["check_status"], f"{row['stot']} requests"]
        for row in rows
        if row["pxname"] == "connect" and row["svname"] != "BACKEND"
    ]


def nodes() -> Rows:
    """The database's nodes as one of them sees them."""
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    address = run("docker", "inspect", "--format", form, "patroni1").strip()
    cluster = json.loads(run("curl", "-sSf", "--max-time", "5", f"http://{address}:8008/cluster"))
    return [
        [one["name"], one["role"], one["state"], f"timeline {one.get('timeline', '?')}",
         f"{one['lag']} bytes behind" if "lag" in one else ""]
        for one in cluster["members"]
    ]  # fmt: skip


def disk() -> Rows:
    """Filesystems, and the directories of a native host that grow."""
    return filesystems() + sizes(
        f"{BASE}/releases", f"{BASE}/backup", f"{BASE}/shared/uploads", f"{BASE}/shared/logs",
        "/var/lib/postgresql/15/main", "/var/log", "/var/lib/postgresql/15/main/pg_wal",
    )  # fmt: skip


def docker_disk() -> Rows:
    """Filesystems, the directories of a Docker host that grow, and what its engine keeps."""
    form = "{{.Type}}\t{{.Size}}\t{{.Reclaimable}} could go"
    engine = run("docker", "system", "df", "--format", form).splitlines()
    return (
        filesystems()
        + sizes(f"{BASE}/images", f"{BASE}/uploads", "/backups/pgbackrest", "/backups/postgres")
        + [line.split("\t") for line in engine]
    )


def filesystems() -> Rows:
    """How full each one is."""
    columns = "--output=target,size,used,avail,pcent"
    said = run("df", "-h", "--local", columns, "--exclude-type=tmpfs", "--exclude-type=devtmpfs",
               "--exclude-type=overlay")  # fmt: skip
    root = run("df", "-h", columns, "/").splitlines()[1:]
    lines = dict.fromkeys([*root, *said.splitlines()[1:]])
    return [line.split() for line in lines]


def sizes(*paths: str) -> Rows:
    """What is in each of these directories."""
    return [[path, run("du", "--summarize", "--human-readable", path).split()[0]] for path in paths]


def errors() -> Rows:
    """Newest last: the system's errors of the last hour, the application's unit and error log."""
    system = run(
        "journalctl", "-q", "--since=-1h", "--priority=err", "--no-pager", "-n", str(LINES)
    )
    unit = run("journalctl", "-q", "--unit=connect", "--no-pager", "-n", str(LINES // 2))
    rows = [["system", line] for line in system.splitlines()]
    rows += [["connect.service", line] for line in unit.splitlines()]
    log = f"{BASE}/shared/logs/error.log"
    if os.path.exists(log):
        rows += [["error.log", line] for line in run("tail", f"--lines={LINES}", log).splitlines()]
    return rows


def container_log(name: str) -> str:
    """Both streams of a container's last hour; RuntimeError when the engine can't say."""
    command = ["docker", "logs", "--since", "1h", name]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=20,
        cwd="/",
    )
    if done.returncode != 0:
        raise RuntimeError((done.stdout.strip() or "docker logs failed").splitlines()[0])
    return done.stdout


def docker_errors() -> Rows:
    """Newest last: the system's errors of the last hour, and lines of each container's log."""
    system = run(
        "journalctl", "-q", "--since=-1h", "--priority=err", "--no-pager", "-n", str(LINES)
    )
    rows = [["system", line] for line in system.splitlines()]
    for name in containers():
        log = container_log(name)
        errors = [line for line in log.splitlines() if "error" in line.lower()]
        rows += [[name, line] for line in errors[-LINES // 2 :]]
    return rows


Looks = dict[str, tuple[Callable[[], Rows], str]]

FIRST: Looks = {
    "memory by service": (memory, "too much: fewer PM2 instances, a smaller work_mem"),
    "connections": (connections, "idle in transaction: the application holds on to them"),
}

SLOW = "EXPLAIN them; add an index"
LOCKS: Looks = {
    "locks": (locks, "end the one that blocks: SELECT pg_terminate_backend(pid)"),
}

SECTIONS: dict[str, Looks] = {
    "native": {
        **FIRST,
        "slow queries": (slow_queries, SLOW),
        **LOCKS,
        "PM2": (pm2, "restarts that grow: see error.log; another release: connect-infra rollback"),
        "disk": (disk, "connect-infra health says when a disk is too full"),
        "recent errors": (errors, "journalctl -u connect; /opt/connect/shared/logs/error.log"),
    },
    "containers": {
        **FIRST,
        "slow queries": (running_for_long, SLOW),
        **LOCKS,
        "containers": (every_container, "restarts that grow: docker logs NAME"),
        "colours": (front_door, "a colour that is DOWN: docker logs; connect-infra rollback"),
        "database nodes": (nodes, "no sync_standby: docker logs patroni1, patroni2"),
        "disk": (docker_disk, "connect-infra health says when a disk is too full"),
        "recent errors": (docker_errors, "journalctl -b; docker logs NAME"),
    },
}


def main(topology: str) -> dict[str, dict[str, object]]:
    """Every section of the topology, in order."""
    found: dict[str, dict[str, object]] = {}
    for title, (look, hint) in SECTIONS[topology].items():
        try:
            rows = [[shown(str(cell)) for cell in row] for row in look()]
            found[title] = {"rows": rows, "hint": hint}
        except Exception as problem:
            found[title] = {"rows": [], "hint": hint, "problem": shown(str(problem))}
    return found
