"""connect.service as systemd has loaded it, and as the kernel runs its main process.

systemd's word alone is not enough: a limit that the kernel refused still stands in `systemctl
show`. So the main process' own limits, identity and mounts are read beside it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from connect_infra.errors import ObservationError
from connect_infra.facts.base import Output

NAME = "connect_service"

UNIT = "connect.service"

PROPERTIES = (
    "Description,Documentation,After,Wants,WantedBy,Type,User,Group,Environment,EnvironmentFiles,"
    "ExecStart,ExecReload,ExecStop,Restart,RestartUSec,KillMode,KillSignal,TimeoutStopUSec,"
    "NoNewPrivileges,PrivateTmp,ProtectSystem,ProtectHome,ReadWritePaths,LimitNOFILE,LimitNPROC,"
    "MainPID,NeedDaemonReload,FragmentPath,DropInPaths,LoadState"
)

_PID = f"$(systemctl show --value -p MainPID {UNIT})"

COMMANDS: Mapping[str, str] = {
    "unit": f"systemctl show -p {PROPERTIES} {UNIT}",
    "status": f"cat /proc/{_PID}/status",
    "limits": f"cat /proc/{_PID}/limits",
    "mounts": f"cat /proc/{_PID}/mountinfo",
    "environment": f"tr '\\0' '\\n' < /proc/{_PID}/environ | grep -E '^(PATH|PM2_HOME|NODE_ENV)='",
}

RENAMED = {
    "EnvironmentFile": "EnvironmentFiles",
    "RestartSec": "RestartUSec",
    "TimeoutStopSec": "TimeoutStopUSec",
}
"""Directives that `systemctl show` has under another name."""

_COMMAND = re.compile(r"argv\[\]=(.*?) ; ignore_errors")
_LIMIT = re.compile(r"^(Max [a-z ]+?)\s{2,}(\S+)\s+(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class ConnectServiceFacts:
    """`properties` by systemd's names; `limits` (soft), `status` and mounts by the kernel's."""

    properties: Mapping[str, str]
    status: Mapping[str, str]
    limits: Mapping[str, str]
    mounts: Mapping[str, str]
    environment: frozenset[str]

    def directive(self, name: str) -> str:
        """A directive of a unit file as systemd has it; ObservationError when it has none."""
        text = self.properties.get(RENAMED.get(name, name))
        if not text:
            raise ObservationError(
                expected=f"{name} among what systemd knows of {UNIT}",
                found="nothing",
                where=UNIT,
                remedy="see systemctl show on the host",
            )
        return text.removesuffix(" (ignore_errors=no)")

    def commands(self, name: str) -> tuple[str, ...]:
        """The command lines of ExecStart, ExecReload or ExecStop."""
        return tuple(_COMMAND.findall(self.directive(name)))


def parse(outputs: Mapping[str, Output]) -> ConnectServiceFacts:
    """Facts from the commands' outputs; ObservationError when the service does not run."""
    # A property may come several times (ExecReload); the lines belong together.
    properties: dict[str, str] = {}
    for name, value in _pairs(outputs["unit"].text(f"systemctl show {UNIT}"), "="):
        properties[name] = f"{properties[name]}\n{value}" if name in properties else value
    status = dict(_pairs(outputs["status"].text(f"the main process of {UNIT}"), ":"))
    limits = {
        match[1].strip(): match[2]
        for match in _LIMIT.finditer(outputs["limits"].text(f"the limits of {UNIT}"))
    }
    if properties.get("LoadState") != "loaded" or not limits or "Uid" not in status:
        raise ObservationError(
            expected=f"{UNIT}, loaded and running",
            found=properties.get("LoadState", "nothing") or "nothing",
            where=NAME,
            remedy=f"run systemctl status {UNIT} on the host",
        )
    return ConnectServiceFacts(
        properties=properties,
        status=status,
        limits=limits,
        mounts=dict(_mounts(outputs["mounts"].text(f"the mounts of {UNIT}"))),
        environment=frozenset(outputs["environment"].text("its environment").split("\n")) - {""},
    )


def _pairs(text: str, separator: str) -> list[tuple[str, str]]:
    parts = (line.partition(separator) for line in text.splitlines() if separator in line)
    return [(name, value.strip()) for name, _, value in parts]


def _mounts(text: str) -> list[tuple[str, str]]:
    """Mount points and their options; the last mount on a point is what is seen."""
    fields = (line.split() for line in text.splitlines())
    return [(field[4], field[5]) for field in fields if len(field) > 5]
