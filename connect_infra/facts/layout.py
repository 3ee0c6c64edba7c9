"""What stands under /opt/connect: type, mode, owner and link target of each path.

Releases and backups are listed, not entered: they hold many thousands of files.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from connect_infra.errors import ObservationError
from connect_infra.facts.base import Output

NAME = "layout"

ROOT = "/opt/connect"

COMMANDS: Mapping[str, str] = {
    # From /opt, so that a missing root is an answer and not a failure of find.
    "paths": rf"find /opt -path '{ROOT}/releases/*/*' -prune -o -path '{ROOT}/backup/*' -prune -o "
    rf"-path '/opt/*' ! -path '{ROOT}' ! -path '{ROOT}/*' -prune -o "
    r"-printf '%y\t%Y\t%m\t%u\t%g\t%p\t%l\n'",
}

_LINE = re.compile(r"([a-z])\t([a-zLN?])\t([0-7]{1,4})\t([^\t]+)\t([^\t]+)\t(/[^\t]*)\t([^\t]*)")


@dataclass(frozen=True)
class Entry:
    """One path. `type` is find's letter (d, f, l, …), `leads_to` that of a link's target."""

    path: str
    type: str
    leads_to: str
    mode: int
    owner: str
    group: str
    link: str

    @property
    def shown(self) -> str:
        """The entry as a person reads it."""
        kind = {"d": "directory", "f": "file", "l": f"link to {self.link}"}.get(
            self.type, f"type {self.type}"
        )
        return f"{kind}, mode {self.mode:o}, {self.owner}:{self.group}"


@dataclass(frozen=True)
class LayoutFacts:
    """Every path below /opt/connect, by its name relative to it."""

    entries: Mapping[str, Entry]

    def shown(self, name: str) -> str:
        """Return an entry as a person reads it, or that it is missing."""
        entry = self.entries.get(name.rstrip("/"))
        return entry.shown if entry else "missing"

    def below(self, name: str) -> tuple[Entry, ...]:
        """Return the entries directly in a directory."""
        prefix = f"{name.rstrip('/')}/"
        return tuple(
            entry
            for path, entry in self.entries.items()
            if path.startswith(prefix) and "/" not in path[len(prefix) :]
        )


def parse(outputs: Mapping[str, Output]) -> LayoutFacts:
    """Read find's lines; raises ObservationError on any other line."""
    entries = {}
    for line in outputs["paths"].text(f"the paths below {ROOT}").splitlines():
        entry = _entry(line)
        if entry.path.startswith(f"{ROOT}/"):
            entries[entry.path.removeprefix(f"{ROOT}/")] = entry
    return LayoutFacts(entries=entries)


def _entry(line: str) -> Entry:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ObservationError(
            expected="type, mode, owner, group, path and link of a file",
            found=repr(line[:80]),
            where=f"find {ROOT}",
            remedy="look for file names with tabs or line ends on the host",
        )
    kind, leads_to, mode, owner, group, path, link = match.groups()
    return Entry(
        path=path,
        type=kind,
        leads_to=leads_to,
        mode=int(mode, 8),
        owner=owner,
        group=group,
        link=link,
    )
