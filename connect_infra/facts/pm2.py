"""PM2's processes as its daemon lists them, and as the kernel sees them.

`pm2 jlist` starts a daemon where none runs. Looking must change nothing, so the daemon's own
process is checked first. Secrets in the processes' environments are judged on the host (see env).
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connect_infra.errors import ObservationError
from connect_infra.facts.base import Output
from connect_infra.facts.env import JUDGE, Variable, decode, variables

NAME = "pm2"

HOME = "/home/connect/.pm2"
FILE = "/opt/connect/shared/config/ecosystem.config.js"

MISSING = "missing"
"""What a socket reads as that is not there."""

# The settings of document A (3.4), as PM2 keeps them, and what is needed to judge the processes.
_KEPT = (
    "name script instances exec_mode node_args max_memory_restart pm_out_log_path pm_err_log_path "
    "merge_logs time kill_timeout wait_ready listen_timeout restart_delay min_uptime max_restarts "
    "autorestart pm_cwd pm_exec_path status restart_time unstable_restarts node_version"
)

_LEFT_OUT_WHEN_OFF = {"merge_logs", "wait_ready"}
"""Switches that `pm2 jlist` has only when they are on."""

# `pm2 jlist` as the user of the service, with nothing of root's environment.
_PROGRAM = f"""{JUDGE}
import subprocess
home, kept = {HOME!r}, {_KEPT.split()!r}
daemon = int(pathlib.Path(home, "pm2.pid").read_text())
title = pathlib.Path("/proc", str(daemon), "cmdline").read_text()
if "God Daemon" not in title:
    raise SystemExit("process %d is %r, not PM2's daemon" % (daemon, title))
bare = ["env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home/connect", "PM2_HOME=" + home]
listed = subprocess.run(["runuser", "-u", "connect", "--", *bare, "pm2", "jlist", "--silent"],
                        cwd="/", capture_output=True, text=True, timeout=20, check=True).stdout
processes = []
for item in json.loads(listed[listed.index("["):]):
    settings = item["pm2_env"]
    status = pathlib.Path("/proc", str(item["pid"]), "status")
    kernel, cgroup, cwd = {{}}, "", ""
    if item["pid"]:  # one that PM2 has stopped has none
        kernel = dict(line.partition(":")[::2] for line in status.read_text().splitlines())
        cgroup = (status.parent / "cgroup").read_text()
        cwd = os.readlink(status.parent / "cwd")
    processes.append({{
        "pid": item["pid"], "settings": {{name: settings.get(name) for name in kept}},
        "environment": judge(settings["env"]), "parent": int(kernel.get("PPid", 0)),
        "uid": int(kernel.get("Uid", "-1").split()[0]),
        "memory": int(kernel.get("VmRSS", "0").split()[0]) * 1024, "cgroup": cgroup, "cwd": cwd,
    }})
read = "process.stdout.write(JSON.stringify(require(process.argv[1]).apps))"
told = subprocess.run(["runuser", "-u", "connect", "--", *bare, "node", "-e", read, {FILE!r}],
                      cwd="/", capture_output=True, text=True, timeout=20)
try:
    app = [app for app in json.loads(told.stdout) if app.get("name") == "connect"][0]
    file = {{"settings": {{name: value for name, value in app.items() if name != "env"}},
            "environment": judge(app["env"])}}
except (ValueError, LookupError, AttributeError, TypeError):
    said = [line for line in told.stderr.splitlines() if "Error" in line]
    file = {{"error": (said or ["no application connect"])[0]}}
print(json.dumps({{"daemon": daemon, "processes": processes, "cores": os.cpu_count(),
                  "file": file}}))
"""

COMMANDS: Mapping[str, str] = {
    "processes": f"python3 -c {shlex.quote(_PROGRAM)}",
    "version": 'sed -n \'s/.*"version": *"\\([^"]*\\)".*/\\1/p\' '
    "/usr/local/lib/node_modules/pm2/package.json | head -1",
    "socket": f"test ! -e /run/connect.sock && echo {MISSING} || "
    "stat -L -c '%F %U %a' /run/connect.sock",
    "current": "readlink -e /opt/connect/current",
}


@dataclass(frozen=True)
class Process:
    """One process under PM2. `memory`: resident bytes; `cwd`: where the kernel has it."""

    pid: int
    parent: int
    uid: int
    memory: int
    cgroup: str
    cwd: str
    settings: Mapping[str, Any]
    environment: Mapping[str, Variable]


@dataclass(frozen=True)
class Pm2Facts:
    """PM2's daemon and its processes. `current`: the release that the symlink points to.

    `read_file` is what Node makes of the ecosystem file now.
    """

    daemon: int
    cores: int
    processes: tuple[Process, ...]
    read_file: Mapping[str, Any]
    version: str
    socket: str
    current: str

    @property
    def connect(self) -> tuple[Process, ...]:
        """The processes of the application; ObservationError when there is none."""
        found = tuple(p for p in self.processes if p.settings.get("name") == "connect")
        if not found:
            raise ObservationError(
                expected="processes named connect",
                found=", ".join(str(p.settings.get("name")) for p in self.processes) or "none",
                where="pm2 jlist",
                remedy="systemctl reload connect, then look into /opt/connect/shared/logs",
            )
        return found

    @property
    def file(self) -> "Ecosystem":
        """The application in the ecosystem file; ObservationError when Node can't read it."""
        try:
            settings, told = self.read_file["settings"], self.read_file["environment"]
            return Ecosystem(settings=dict(settings), environment=variables(told))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ObservationError(
                expected="the application connect",
                found=str(self.read_file.get("error", "nothing")),
                where=FILE,
                remedy="correct the file, or run connect-infra apply",
            ) from None


@dataclass(frozen=True)
class Ecosystem:
    """The application as its ecosystem file would start it."""

    settings: Mapping[str, Any]
    environment: Mapping[str, Variable]


def parse(outputs: Mapping[str, Output]) -> Pm2Facts:
    """Facts from the commands' outputs; ObservationError when PM2 does not run or on junk."""
    seen = decode(outputs["processes"].text("pm2 jlist"), NAME)
    try:
        processes = tuple(_process(item) for item in seen["processes"])
        daemon, cores = int(seen["daemon"]), int(seen["cores"])
        read_file = dict(seen["file"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as problem:
        raise ObservationError(
            expected="PM2's list of processes",
            found=f"{type(problem).__name__}: {problem}",
            where=NAME,
            remedy="run pm2 jlist as connect on the host",
        ) from problem
    return Pm2Facts(
        daemon=daemon,
        cores=cores,
        processes=processes,
        read_file=read_file,
        version=outputs["version"].text("PM2's version").strip(),
        socket=outputs["socket"].text("the application's socket").strip(),
        current=outputs["current"].text("the current release").strip(),
    )


def shown(value: object) -> str:
    """A setting of PM2 as text: `true`, `10000`, and lists with blanks between."""
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value)


def _process(item: Mapping[str, Any]) -> Process:
    return Process(
        pid=int(item["pid"]),
        parent=int(item["parent"]),
        uid=int(item["uid"]),
        memory=int(item["memory"]),
        cgroup=str(item["cgroup"]),
        cwd=str(item["cwd"]),
        settings=_settings(item["settings"]),
        environment=variables(item["environment"]),
    )


def _settings(listed: Mapping[str, Any]) -> dict[str, Any]:
    off = {name for name in _LEFT_OUT_WHEN_OFF if listed.get(name) is None}
    return {**listed, **dict.fromkeys(off, False)}
