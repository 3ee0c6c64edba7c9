"""The operational scripts as the host has them, its system backups, and unfinished switches."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from connect_infra.errors import ObservationError
from connect_infra.facts.base import Output

NAME = "operations"

SCRIPTS = "/opt/connect/scripts"
BACKUPS = "/opt/connect/backup/system"

COMMANDS: Mapping[str, str] = {
    # What each says of itself: it can be run, and knows how.
    "scripts": f'for file in {SCRIPTS}/*.sh; do said=$(timeout 5 "$file" --help 2>&1); '
    'printf "%s %s %s\\n" "$(basename "$file")" "$?" "$(echo "$said" | head -n 1)"; done',
    "backups": "date +%s; "
    f"find {BACKUPS} -name 'connect_system_*.tar.gz' -printf '%T@ %m %u %f\\n'",
    "switch": "cat /var/lib/connect-infra/releases/switching 2>/dev/null || echo none",
}

DAY = 86400

_SCRIPT = re.compile(r"([\w-]+\.sh) (\d{1,3}) (.*)")
_BACKUP = re.compile(r"(\d{1,12})\.\d+ ([0-7]{3}) (\S+) (connect_system_\S+)")


@dataclass(frozen=True)
class Backup:
    """One archive of the system: how old it is, and who may read it."""

    name: str
    days: float
    mode: int
    owner: str


@dataclass(frozen=True)
class OperationsFacts:
    """The first line of each script's help (why not, where it gives none); backups by age."""

    usage: Mapping[str, str]
    backups: tuple[Backup, ...]
    unfinished: str


def parse(outputs: Mapping[str, Output]) -> OperationsFacts:
    """Read the answers; ObservationError where one is none."""
    usage = {}
    for line in outputs["scripts"].text(f"the scripts in {SCRIPTS}").splitlines():
        name, code, said = _read(_SCRIPT, line)
        usage[name] = said if code == "0" else f"exit code {code}: {said}"
    now, *archives = outputs["backups"].text(BACKUPS).splitlines()
    if not re.fullmatch(r"[0-9]{1,12}", now):
        raise _junk(now)
    backups = [_backup(line, int(now)) for line in archives]
    unfinished = outputs["switch"].text("an unfinished switch").strip()
    return OperationsFacts(
        usage=usage,
        backups=tuple(sorted(backups, key=lambda one: one.days)),
        unfinished="" if unfinished == "none" else unfinished,
    )


def _backup(line: str, now: int) -> Backup:
    written, mode, owner, name = _read(_BACKUP, line)
    return Backup(name=name, days=(now - int(written)) / DAY, mode=int(mode, 8), owner=owner)


def _read(pattern: re.Pattern[str], line: str) -> tuple[str, ...]:
    match = pattern.fullmatch(line)
    if match is None:
        raise _junk(line)
    return match.groups()


def _junk(found: str) -> ObservationError:
    return ObservationError(
        expected="the scripts' usage and the backups' ages",
        found=repr(found[:80]),
        where=SCRIPTS,
        remedy="look at the scripts on the host, or run connect-infra apply",
    )
