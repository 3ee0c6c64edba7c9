"""What systemd says about the documented services, and since when each one runs.

One `systemctl show` answers for all of them. The start of a main process is kept as seconds of the
epoch, so that it can be held against the change time of a file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from connect_infra.errors import ObservationError
from connect_infra.facts.base import Output, junk

NAME = "units"

POSTGRESQL = "postgresql@15-main.service"
"""The cluster's own unit; `postgresql.service` is an umbrella that stays active without it."""

WATCHERS = (
    "prometheus.service",
    "prometheus-alertmanager.service",
    "prometheus-node-exporter.service",
    "prometheus-postgres-exporter.service",
    "prometheus-redis-exporter.service",
    "prometheus-nginx-exporter.service",
)
"""Document A, 2.1: what watches the platform."""

SERVICES = (
    POSTGRESQL,
    "pgbouncer.service",
    "redis-cache.service",
    "redis-queue.service",
    "connect.service",
    "nginx.service",
    "fail2ban.service",
    *WATCHERS,
)
"""Document A, 2.1: the platform's services."""

UNITS = (*SERVICES, "postgresql.service", "cron.service", "ssh.service", "ufw.service")
"""Everything that is asked for."""

PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "Type",
    "MainPID",
    "Restart",
    "NRestarts",
    "ExecMainStartTimestampMonotonic",
)

COMMANDS: Mapping[str, str] = {
    "show": f"systemctl show --property={','.join(PROPERTIES)} {' '.join(UNITS)}",
    "clock": "date +%s.%N && cut -d ' ' -f 1 /proc/uptime",
}

_CLOCK = re.compile(r"(\d+\.\d+)\n(\d+\.\d+)\n?")
_MAX_DIGITS = 19
"""No counter of systemd has more (64 bits); longer is junk."""

_junk = junk("systemctl show", "see whether systemd answers on the host", 80)


@dataclass(frozen=True)
class Unit:
    """One unit as systemd has it now. `started` is in seconds of the epoch, None if never."""

    name: str
    load: str
    active: str
    sub: str
    file_state: str
    type: str
    pid: int
    restart: str
    restarts: int
    started: float | None

    @property
    def state(self) -> str:
        """Active state, sub state and whether it starts at boot, as one line."""
        if self.load == "not-found":
            return "no such unit"
        return f"{self.active} ({self.sub}), {self.file_state or 'not enabled'}"

    @property
    def runs(self) -> bool:
        """Whether the unit is active with a living main process."""
        return self.active == "active" and self.sub == "running"

    @property
    def starts_at_boot(self) -> bool:
        """Whether systemd starts it at boot; an instance is started by its generator."""
        return self.file_state in {"enabled", "enabled-runtime", "generated"}


@dataclass(frozen=True)
class UnitFacts:
    """Every unit that was asked for, by its full name."""

    units: Mapping[str, Unit]

    def __getitem__(self, name: str) -> Unit:
        """Return one unit; ObservationError when systemd said nothing about it."""
        if name not in self.units:
            raise ObservationError(
                expected=f"{name} in the answer of systemctl show",
                found=", ".join(self.units),
                where=NAME,
                remedy="look at systemctl show on the host",
            )
        return self.units[name]


def parse(outputs: Mapping[str, Output]) -> UnitFacts:
    """Read the blocks of `systemctl show`; raises ObservationError on anything else."""
    booted = _boot_time(outputs["clock"].text("the host's clock and uptime"))
    text = outputs["show"].text("systemctl show")
    blocks = [block for block in re.split(r"\n\s*\n", text) if block.strip()]
    units = [_unit(block, booted) for block in blocks]
    return UnitFacts(units={unit.name: unit for unit in units})


def _boot_time(text: str) -> float:
    match = _CLOCK.fullmatch(text)
    if match is None or len(text) > 2 * _MAX_DIGITS + 20:
        raise _junk("seconds of the epoch and of uptime", text)
    return float(match[1]) - float(match[2])


def _unit(block: str, booted: float) -> Unit:
    values = dict(line.partition("=")[::2] for line in block.splitlines())
    missing = [name for name in PROPERTIES if name not in values]
    # A unit that is not loaded has no Type, Restart or start of a main process.
    absent = values.get("LoadState") == "not-found"
    if "Id" in missing or (missing and not absent):
        raise _junk(f"the properties {', '.join(missing)}", block)
    started = _count(values.get("ExecMainStartTimestampMonotonic", "0"))
    return Unit(
        name=values["Id"],
        load=values["LoadState"],
        active=values.get("ActiveState", "inactive"),
        sub=values.get("SubState", "dead"),
        file_state=values.get("UnitFileState", ""),
        type=values.get("Type", ""),
        pid=_count(values.get("MainPID", "0")),
        restart=values.get("Restart", ""),
        restarts=_count(values.get("NRestarts", "0")),
        started=booted + started / 1_000_000 if started else None,
    )


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise _junk("a count", text)
    return int(text)
