"""Which jobs cron has, wherever they are written, and when each runs next.

Cron ignores some files without a word: those with a dot in their name, those that others may
write, a last line without its end. They are observed here as cron treats them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from croniter import croniter

from connect_infra.errors import ObservationError
from connect_infra.facts.base import Output, junk

NAME = "cron"

SYSTEM = "/etc/crontab"
SYSTEM_DIRECTORY = "/etc/cron.d"
USER_DIRECTORY = "/var/spool/cron/crontabs"

COMMANDS: Mapping[str, str] = {
    "tables": f"for file in {SYSTEM} {SYSTEM_DIRECTORY}/* {USER_DIRECTORY}/*; do "
    '[ -f "$file" ] || continue; printf "@@%s %s %s\\n" "$(stat -c "%a %U" "$file")" "$file" '
    '"$(tail -c 1 "$file" | od -An -tx1 | tr -d " ")"; '
    'sed \'s/^/|/\' "$file"; [ -z "$(tail -c 1 "$file")" ] || echo; done',
}

_HEADER = re.compile(r"@@([0-7]{3,4}) (\S+) (/\S.*?) ([0-9a-f]{2})?")
_VARIABLE = re.compile(r"[A-Za-z_]\w*\s*=")
_FIELDS = 5
_FILE_NAME = re.compile(r"[A-Za-z0-9_-]+")
_WRITABLE_BY_OTHERS = 0o022

_junk = junk("cron's tables on the host", "look at the table there, or run connect-infra apply", 80)


@dataclass(frozen=True)
class Job:
    """One job: the five time fields (or @daily and the like), its user and its command."""

    schedule: str
    user: str
    command: str
    path: str

    @property
    def line(self) -> str:
        """The job as a line of a system table."""
        return f"{self.schedule} {self.user} {self.command}"

    def runs(self, start: datetime, count: int) -> list[datetime]:
        """Return the next `count` times after `start`; ObservationError for a bad schedule."""
        return next_runs(self.schedule, start, count)


@dataclass(frozen=True)
class CronFacts:
    """The jobs that cron runs, and files that it passes over with the reason."""

    jobs: tuple[Job, ...]
    ignored: Mapping[str, str]

    def having(self, text: str) -> tuple[Job, ...]:
        """Return the jobs whose command contains `text`."""
        return tuple(job for job in self.jobs if text in job.command)


def next_runs(schedule: str, start: datetime, count: int) -> list[datetime]:
    """Return `count` times after `start` at which a schedule is due, by cron's own rules."""
    try:
        times = croniter(schedule, start, ret_type=datetime)
        return [times.get_next() for _ in range(count)]
    except (ValueError, KeyError, AttributeError) as problem:
        raise ObservationError(
            expected="a cron schedule",
            found=repr(schedule[:60]),
            where="cron",
            remedy="correct the job's time fields",
        ) from problem


def parse(outputs: Mapping[str, Output]) -> CronFacts:
    """Read every table; raises ObservationError when a line belongs to none."""
    jobs: list[Job] = []
    ignored: dict[str, str] = {}
    path, reason = "", ""
    for line in outputs["tables"].text("cron's tables").splitlines():
        if line.startswith("@@"):
            path, reason = _header(line)
            if reason:
                ignored[path] = reason
        elif not line:
            continue
        elif not line.startswith("|") or not path:
            raise _junk("a table's header before its lines", line)
        elif not reason and (job := _job(line[1:].strip(), path)):
            jobs.append(job)
    return CronFacts(jobs=tuple(jobs), ignored=ignored)


def _header(line: str) -> tuple[str, str]:
    """Return a table's path and why cron ignores it, "" if it doesn't."""
    match = _HEADER.fullmatch(line)
    if match is None:
        raise _junk("mode, owner, path and last byte of a table", line)
    mode, owner, path, last = match.groups()
    directory, _, name = path.rpartition("/")
    if directory == SYSTEM_DIRECTORY and not _FILE_NAME.fullmatch(name):
        return path, "its name has a character that cron does not accept"
    if directory != USER_DIRECTORY and owner != "root":
        return path, f"it belongs to {owner}, not to root"
    if int(mode, 8) & _WRITABLE_BY_OTHERS:
        return path, f"others than its owner may write it (mode {mode})"
    if last not in {"0a", None}:
        return path, "its last line has no end"
    return path, ""


def _job(line: str, path: str) -> Job | None:
    if not line or line.startswith("#") or _VARIABLE.match(line):
        return None
    fields = 1 if line.startswith("@") else _FIELDS
    words = line.split(None, fields)
    if len(words) <= fields:
        raise _junk(f"a job in {path}", line)
    schedule, rest = " ".join(words[:fields]), words[fields]
    if path.startswith(f"{USER_DIRECTORY}/"):
        return Job(schedule=schedule, user=path.rpartition("/")[2], command=rest, path=path)
    user, _, command = rest.partition(" ")
    return Job(schedule=schedule, user=user, command=command.strip(), path=path)
