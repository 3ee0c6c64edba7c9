"""Ways to break controls, as data: what is done on the host, how it is seen, how it is undone."""

import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connect_infra import document
from connect_infra.document import Topology, first_problem
from connect_infra.errors import DocumentError
from connect_infra.targets.inventory import parse_toml

DATA = Path(__file__).parent / "data"

FOLDERS: Mapping[Topology, Path] = {"native": DATA, "containers": DATA / "containers"}

Kind = Literal["running", "file", "both", "around", "harmless"]
"""What is wrong: only what runs, only what the next start will bring, both, or what lies around
the setting (a right, a process, another file). A harmless change breaks nothing."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Change(_Row):
    """The drifted value of one control, and the text that its spec must then show."""

    value: str
    shows: str = Field(min_length=1)


Changes = dict[str, Change | str]


class Way(_Row):
    """One manner of breaking controls. The scripts are /bin/sh, run as root with `set -eu`.

    Each knows the functions of `functions.sh` and the variables ID, KEY, NAME (the id without its
    component), COMPONENT, EXPECTED (empty for secrets) and VALUE. `make`, `landed` and `restore`
    run for each change; `activate` once when all are made, `settle` once when all are undone.
    `landed` ends with 0 when the host has the change: what was not seen there proves nothing.
    """

    name: str = Field(min_length=1)
    kind: Kind
    make: str = Field(min_length=1)
    activate: str = ""
    landed: str = Field(min_length=1)
    restore: str = ""
    settle: str = ""
    alone: bool = False
    """One change at a time: it disturbs the other controls of its component."""
    touches: tuple[str, ...] = Field(default=(), strict=False)
    """Other components that it disturbs."""
    intrusive: tuple[str, ...] = Field(default=(), strict=False)
    """The intrusive specs that must see it; without, the specs that only look."""
    group: str = ""
    """A group of the file, whose changes are made too."""
    without: tuple[str, ...] = Field(default=(), strict=False)
    """Controls of the group that this way can't break."""
    shows: str = ""
    """What the spec must show for every change, where that is not its value."""
    changes: Changes = {}
    """By control id; a plain text is the value, and is what must be shown."""


class Impossible(_Row):
    """A control that no drift can break on a lab host, with the reason."""

    control: str
    reason: str = Field(min_length=20)


class Spared(_Row):
    """A spec that no drift can turn red on a lab host, with the reason."""

    spec: str
    reason: str = Field(min_length=20)


class _File(_Row):
    group: dict[str, Changes] = {}
    way: tuple[Way, ...] = Field(default=(), strict=False)
    impossible: tuple[Impossible, ...] = Field(default=(), strict=False)
    spared: tuple[Spared, ...] = Field(default=(), strict=False)


@dataclass(frozen=True)
class Drift:
    """One control broken in one way."""

    control: str
    component: str
    way: Way
    value: str
    shows: str

    @property
    def name(self) -> str:
        """What is done, in words."""
        return self.way.name


@dataclass(frozen=True)
class Drifts:
    """Everything that the data holds: drifts and harmless changes, and what can't be broken.

    `impossible`: reasons by control; `spared`: reasons by the name of a spec's function.
    """

    drifts: tuple[Drift, ...]
    impossible: Mapping[str, str]
    spared: Mapping[str, str]

    def of(self, controls: Collection[str]) -> "Drifts":
        """Return what concerns these controls."""
        return Drifts(
            tuple(drift for drift in self.drifts if drift.control in controls),
            {name: why for name, why in self.impossible.items() if name in controls},
            self.spared,
        )

    def sample(self, size: int, seed: int) -> "Drifts":
        """Draw some drifts, the same ones for the same seed, of those that take no minutes.

        Those are the ones that no intrusive spec must see; what is impossible is left out too.
        """
        everything = [drift for drift in self.drifts if not drift.way.intrusive]
        drawn = random.Random(seed).sample(range(len(everything)), min(size, len(everything)))
        return Drifts(tuple(everything[place] for place in sorted(drawn)), {}, self.spared)


@lru_cache(maxsize=len(FOLDERS))
def load(topology: Topology = "native") -> Drifts:
    """Return all drifts of a topology in the order of the files. Raises DocumentError."""
    return read(FOLDERS[topology], topology)


def read(directory: Path, topology: Topology = "native") -> Drifts:
    """Read the data in `directory`: one file a component, and nothing unknown. DocumentError."""
    files = {path: _file(path) for path in sorted(directory.glob("*.toml"))}
    impossible = {one.control: one.reason for file in files.values() for one in file.impossible}
    drifts = tuple(drift for path, file in files.items() for drift in _drifts(path, file, topology))
    known = document.load(topology).controls
    for path, file in files.items():
        for one in file.impossible:
            if one.control not in known:
                _refuse(path, one.control, "the id of a documented control", repr(one.control))
    for drift in drifts:
        if drift.control in impossible and drift.way.kind != "harmless":
            where = directory / f"{drift.component}.toml"
            _refuse(where, drift.control, "a drift or a reason why there is none", "both")
    spared = {one.spec: one.reason for file in files.values() for one in file.spared}
    return Drifts(drifts, impossible, spared)


def _file(path: Path) -> _File:
    content: dict[str, Any] = parse_toml(path)
    try:
        return _File.model_validate(content)
    except ValidationError as problem:
        field, expected, found = first_problem(problem)
        _refuse(path, field or "the whole file", expected, found)


def _drifts(path: Path, file: _File, topology: Topology) -> Iterator[Drift]:
    known = document.load(topology).controls
    seen: set[tuple[str, str]] = set()
    for way in file.way:
        for name, change in _changes(path, file, way).items():
            where = f"{way.name}, {name}"
            if name not in known:
                _refuse(path, where, "the id of a documented control", repr(name))
            if (name, way.name) in seen:
                _refuse(path, where, "a name for each way of breaking a control", "it twice")
            seen.add((name, way.name))
            yield Drift(name, known[name].component, way, change.value, change.shows)


def _changes(path: Path, file: _File, way: Way) -> Mapping[str, Change]:
    """All changes of a way; what its own change says goes before what the way says, then the group.

    A plain text is the value, and what must be shown unless the way says what.
    """
    if way.group and way.group not in file.group:
        _refuse(path, f"{way.name}, group", f"one of {', '.join(file.group)}", repr(way.group))
    group = file.group.get(way.group, {})
    if unknown := set(way.without) - set(group):
        _refuse(path, f"{way.name}, without", "controls of the group", min(unknown))
    changes = {
        name: Change(value=_value(one), shows=way.shows or _shows(one))
        for name, one in group.items()
        if name not in way.without
    }
    for name, one in way.changes.items():
        own = one.shows if isinstance(one, Change) else way.shows or one
        changes[name] = Change(value=_value(one), shows=own)
    if not changes:
        _refuse(path, way.name, "a group or changes", "none")
    return changes


def _value(change: Change | str) -> str:
    return change if isinstance(change, str) else change.value


def _shows(change: Change | str) -> str:
    return change if isinstance(change, str) else change.shows


def _refuse(path: Path, field: str, expected: str, found: str) -> NoReturn:
    raise DocumentError(
        expected=expected, found=found, where=f"{path}, {field}", remedy="correct the data"
    )
