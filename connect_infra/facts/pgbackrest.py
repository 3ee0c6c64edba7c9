"""What pgBackRest knows about its repository, and the configuration that it reads.

It has no daemon: every command reads the files again, so the files as merged are what runs. That
backups and WAL really arrive is seen in `info` and in the server's own archiver statistics.
"""

import configparser
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connect_infra.errors import ObservationError
from connect_infra.facts.base import Output

NAME = "pgbackrest"

STANZA = "connect"
FILE = "/etc/pgbackrest/pgbackrest.conf"

COMMANDS: Mapping[str, str] = {
    # /tmp/pgbackrest is the default lock-path: a lock left by another user would hide the answer.
    "info": f"cd / && runuser -u postgres -- pgbackrest info --output=json --stanza={STANZA}",
    # The order is pgBackRest's own: the file, then conf.d by name; a later line wins.
    "files": f"test -r {FILE} && for file in {FILE} /etc/pgbackrest/conf.d/*.conf; do "
    'if [ -e "$file" ]; then printf "\\n@@%s\\n" "$file"; cat "$file"; fi; done',
    "command": f"cd / && runuser -u postgres -- pgbackrest --stanza={STANZA} help backup",
}

_CURRENT = re.compile(
    r"^ {2}--([a-z0-9-]+) .*?\[current(?:ly)?=(.*?)(?:, default=[^\]]*)?\]", re.MULTILINE
)
_SECRET_OPTION = re.compile(r"pass|key|secret|token")


@dataclass(frozen=True)
class Backup:
    """One backup in the repository; times in seconds of the epoch."""

    label: str
    type: str
    started: int
    stopped: int
    error: bool


@dataclass(frozen=True)
class PgbackrestFacts:
    """The stanza as `info` shows it, the options by section as the files set them, and `current`.

    `current` is what the tool itself takes, by option name without the repository's or cluster's
    number, whatever file, include or environment it comes from.
    """

    status: str
    code: int
    archives: tuple[tuple[str | None, str | None], ...]
    backups: tuple[Backup, ...]
    config: Mapping[str, Mapping[str, str]]
    current: Mapping[str, str]

    def takes(self, name: str) -> str | None:
        """Return what the tool takes for an option such as repo1-path, None for its default."""
        return self.current.get(re.sub(r"^(repo|pg)1-", r"\1-", name))

    def option(self, section: str, name: str) -> str | None:
        """Return an option's value in a section, None where no file sets it."""
        return self.config.get(section, {}).get(name)


def parse(outputs: Mapping[str, Output]) -> PgbackrestFacts:
    """Read `info` and the files; raises ObservationError on anything that is not theirs."""
    text = outputs["info"].text(f"pgbackrest info of stanza {STANZA}")
    try:
        stanza = _stanza(json.loads(text))
        status = stanza["status"]
        return PgbackrestFacts(
            status=str(status["message"]),
            code=int(status["code"]),
            archives=tuple((one["min"], one["max"]) for one in stanza["archive"]),
            backups=tuple(_backup(one) for one in stanza["backup"]),
            config=read_files(outputs["files"].text(FILE)),
            current=read_help(outputs["command"].text("pgbackrest help backup")),
        )
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as problem:
        raise _junk(f"the stanza {STANZA} as JSON", f"{text[:60]!r}") from problem


def _stanza(data: Any) -> dict[str, Any]:
    found: list[dict[str, Any]] = [one for one in data if one["name"] == STANZA]
    return found[0]


def _backup(data: dict[str, Any]) -> Backup:
    return Backup(
        label=data["label"],
        type=data["type"],
        started=int(data["timestamp"]["start"]),
        stopped=int(data["timestamp"]["stop"]),
        error=bool(data.get("error")),
    )


def read_files(text: str) -> Mapping[str, Mapping[str, str]]:
    """Merge the files' sections, later lines winning; ObservationError when they aren't ini."""
    ini = configparser.RawConfigParser(
        delimiters=("=",), comment_prefixes=("#", "@@"), strict=False, default_section="\0"
    )
    try:
        ini.read_string(text)
    except configparser.Error as problem:
        raise _junk("sections with option=value lines", type(problem).__name__) from problem
    sections = {
        section: {key: _hidden(key, value) for key, value in ini.items(section)}
        for section in ini.sections()
    }
    if not sections:
        raise _junk("sections with option=value lines", "none")
    return sections


def read_help(text: str) -> Mapping[str, str]:
    """Read the options that the tool itself has as current, by name without an index."""
    joined = re.sub(r"\n {3,}(?! *--)", " ", text)
    return {name: _hidden(name, value) for name, value in _CURRENT.findall(joined)}


def _hidden(key: str, value: str) -> str:
    return "(hidden)" if _SECRET_OPTION.search(key) else value


def _junk(expected: str, found: str) -> ObservationError:
    return ObservationError(
        expected=expected,
        found=found,
        where="pgBackRest on the host",
        remedy="run `pgbackrest info` and `pgbackrest check` there as postgres",
    )
