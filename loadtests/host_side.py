"""Runs on the loaded host, as root, on its own Python: one look at what the load does there.

Standard library only. Counters are as the kernel has them; differences are for the reader to make.
"""

import os
import pathlib
import re
import subprocess
import time
from typing import Any

PROC = pathlib.Path("/proc")
GROUPS = {
    "nginx": "nginx",
    "node": "node",
    "PM2": "node",
    "postgres": "postgresql",
    "redis-server": "redis",
    "pgbouncer": "pgbouncer",
    "prometheus": "monitoring",
    "sshd": "sshd",
    "fail2ban-server": "fail2ban",
}
UNLIMITED = 1 << 60
POOLED = re.compile(r"postgres: .*\bconnect connect 127\.0\.0\.1")


def main(payload: dict[str, Any]) -> dict[str, Any]:
    """{'units': […]} -> one sample. `clock` is the host's own, for rates: a look takes a while."""
    clock, ticks = time.monotonic(), busy()
    processes = [found for found in map(process, PROC.glob("[0-9]*")) if found]
    return {
        "established": established(),
        "pgbouncer_servers": sum(bool(POOLED.match(one["title"])) for one in processes),
        "nginx_workers": [
            files(one["pid"]) for one in processes if one["title"].startswith("nginx: worker")
        ],
        "cores": os.cpu_count(),
        "ticks": os.sysconf("SC_CLK_TCK"),
        "clock": clock,
        "busy": ticks,
        "cpu": by_group(processes),
        "memory": memory(),
        "oom_kills": int(field(PROC / "vmstat", "oom_kill")),
        "units": units(payload["units"]),
        "node": sorted(one["born"] for one in processes if one["title"].startswith("node ")),
    }


def process(folder: pathlib.Path) -> dict[str, Any] | None:
    """pid, title, group, start and CPU time of one process; None when it has just ended."""
    try:
        title = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
    except OSError:
        return None
    fields = rest.split()
    return {
        "pid": int(folder.name),
        "title": title,
        "group": next((to for start, to in GROUPS.items() if name.startswith(start)), "other"),
        "cpu": int(fields[11]) + int(fields[12]),
        "born": f"{folder.name}/{fields[19]}",
    }


def by_group(processes: list[dict[str, Any]]) -> dict[str, int]:
    """CPU ticks of living processes by what they belong to."""
    sums: dict[str, int] = {}
    for one in processes:
        sums[one["group"]] = sums.get(one["group"], 0) + one["cpu"]
    return sums


def established() -> dict[str, int]:
    """Established TCP connections by the local port of the edge and the pool."""
    wanted = "( sport = :443 or sport = :6432 )"
    command = ["ss", "-Hnt", "state", "established", wanted]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    ports = [line.split()[2].rpartition(":")[2] for line in shown.splitlines()]
    return {port: ports.count(port) for port in ("443", "6432")}


def files(pid: int) -> dict[str, int]:
    """How many files a process has open, and may."""
    limit = field(PROC / str(pid) / "limits", "Max open files")
    return {"open": len(os.listdir(f"/proc/{pid}/fd")), "limit": int(limit)}


def busy() -> int:
    """Ticks of all processors together that were not idle (the machine's, in a container too)."""
    ticks = [int(one) for one in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4]


def memory() -> dict[str, int]:
    """Bytes in use that can't be given back, and bytes there are; a container's are its own."""
    for line in (PROC / "1" / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in {"memory", ""}:
            home = pathlib.Path("/sys/fs/cgroup", controllers)
            below = home / path.lstrip("/")
            for folder in [below, *below.parents]:
                if folder.is_relative_to(home) and (found := limited(folder)):
                    return found
    total = int(field(PROC / "meminfo", "MemTotal:")) * 1024
    return {"used": total - int(field(PROC / "meminfo", "MemAvailable:")) * 1024, "total": total}


def limited(folder: pathlib.Path) -> dict[str, int] | None:
    """The memory of a control group (version 1 or 2) that has a limit; else None."""
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    if not (folder / names[0]).exists():
        names = ("memory.max", "memory.current", "inactive_file")
    try:
        limit = (folder / names[0]).read_text().strip()
        used = int((folder / names[1]).read_text())
        idle = int(field(folder / "memory.stat", names[2] + " "))
    except OSError:
        return None
    if limit == "max" or int(limit) >= UNLIMITED:
        return None
    return {"used": used - idle, "total": int(limit)}


def field(path: pathlib.Path, name: str) -> str:
    """The first value behind a name that begins a line."""
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return line[len(name) :].split()[0]
    raise LookupError(f"{path} has no line {name!r}")


def units(names: list[str]) -> dict[str, list[int]]:
    """The main process of each service, and how often systemd restarted it."""
    command = ["systemctl", "show", "--property=Id,MainPID,NRestarts", *names]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    blocks = [
        dict(line.split("=", 1) for line in one.split("\n")) for one in shown.strip().split("\n\n")
    ]
    return {one["Id"]: [int(one["MainPID"]), int(one["NRestarts"])] for one in blocks}
