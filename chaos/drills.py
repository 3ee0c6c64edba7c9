"""The drills, from data: what is broken, for how long, who mends it, and what was promised."""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chaos.faults import Fault, Parameters, make
from chaos.objectives import MEASURES, SUBJECTS, Objective
from connect_infra.document import Topology, first_problem
from connect_infra.errors import ConnectInfraError

DATA = Path(__file__).parent / "data"

FILES: Mapping[Topology, Path] = {
    "native": DATA / "drills.toml",
    "containers": DATA / "containers.toml",
}
"""The drills of each topology."""

NOT_IN_PRODUCTION = {
    "power_cut", "disk_full", "lost_data", "corrupt_pages", "bad_migration", "lost_application",
    "deploy", "roll_back", "replica_lost", "blue_green_deploy", "instant_roll_back",
    "full_roll_back",
}  # fmt: skip
"""Kinds that move a service's data, where a crash of the host would lose what is new, or release
something that is no release."""


WHOLE = ("other_alerts", "takes")
"""Objectives of the drill as a whole: alerts that are not part of it, how long the fault takes."""


class DrillError(ConnectInfraError):
    """Raised when there is no such drill, or the drills' data is wrong."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Process(_Data):
    pids: str
    unit: str


class _Limit(_Data):
    at_most: float = Field(default=float("inf"), ge=0)
    at_least: float = Field(default=0.0, ge=0)


class _Promise(_Data):
    source: str
    limits: dict[str, float | _Limit]


class _Drill(_Data):
    name: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    controls: list[str] = []
    faults: list[dict[str, str | int | float]] = []
    hold: float = Field(default=0.0, ge=0)
    recovery: str = ""
    limit: float = Field(default=60.0, gt=0, le=600)
    repeat: int = Field(default=1, ge=1)
    crowd: float = Field(default=0.0, ge=0, le=200)
    before: float = Field(default=3.0, ge=3, le=60)
    promises: list[str] = []
    objectives: dict[str, float | _Limit] = {}
    source: str = ""
    tags: list[Literal["short", "long"]] = []


class _File(_Data):
    processes: dict[str, _Process] = {}
    promise: dict[str, _Promise]
    drill: list[_Drill]


class Drill(_Data):
    """One drill. Seconds throughout."""

    name: str
    title: str
    topology: Topology
    controls: tuple[str, ...]
    """The documented statements that it proves."""
    kinds: tuple[tuple[str, dict[str, str | int | float]], ...]
    hold: float
    """How long the faults stay; 0: until the host has recovered by itself."""
    recovery: str
    """A script that an operator runs once the fault is there; empty: nobody does anything."""
    limit: float
    """How long to wait for the recovery."""
    repeat: int
    """How often the fault is made, each time after the recovery from the last."""
    crowd: float
    """Requests a second of other users, beyond the workload."""
    before: float
    """How long users work before the fault; all of it must go well."""
    objectives: tuple[tuple[str, float, float, str], ...]
    tags: tuple[str, ...]

    @property
    def lab_only(self) -> bool:
        """Whether it must not run in production."""
        return any(kind in NOT_IN_PRODUCTION for kind, _ in self.kinds)

    @property
    def self_healing(self) -> bool:
        """Whether the host must recover with the fault left alone."""
        return self.hold == 0 and not self.recovery

    def faults(self) -> tuple[Fault, ...]:
        """The faults' scripts."""
        return tuple(
            make(kind, parameters, number) for number, (kind, parameters) in enumerate(self.kinds)
        )

    def promised(self) -> tuple[Objective, ...]:
        """What is measured against."""
        return tuple(
            Objective(name, at_most, source, at_least)
            for name, at_least, at_most, source in self.objectives
        )


def load(topology: Topology = "native") -> tuple[Drill, ...]:
    """All drills of a topology, in the data's order; DrillError when the data is wrong."""
    return read(FILES[topology], topology)


@cache
def read(path: Path, topology: Topology = "native") -> tuple[Drill, ...]:
    """The drills of one file; DrillError when its data is wrong."""
    try:
        file = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        drills = tuple(_drill(file, one, topology) for one in file.drill)
        for drill in drills:
            drill.faults()
    except ValidationError as problem:
        where, expected, found = first_problem(problem)
        raise _wrong(expected, found, f"{path}, {where}") from problem
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as problem:
        raise _wrong(
            "drills as docs/drills.md describes them", str(problem), str(path)
        ) from problem
    if len({drill.name for drill in drills}) != len(drills):
        raise _wrong("names that differ", "one name twice", str(path))
    return drills


def find(name: str, drills: Sequence[Drill] | None = None) -> Drill:
    """The drill of that name; DrillError, which lists them all, when there is none."""
    every = [drill for topology in FILES for drill in load(topology)]
    known = {drill.name: drill for drill in (every if drills is None else drills)}
    if name not in known:
        raise DrillError(
            expected=f"one of {', '.join(known)}",
            found=f"the drill {name!r}",
            where="connect-infra drill",
            remedy="see: connect-infra drill list",
        )
    return known[name]


def _drill(file: _File, data: _Drill, topology: Topology) -> Drill:
    return Drill(
        name=data.name,
        title=data.title,
        topology=topology,
        controls=tuple(data.controls),
        kinds=tuple(_kind(file.processes, one) for one in data.faults),
        hold=data.hold,
        recovery=data.recovery,
        limit=data.limit,
        repeat=data.repeat,
        crowd=data.crowd,
        before=data.before,
        objectives=tuple(_objectives(file, data).values()),
        tags=tuple(data.tags),
    )


def _kind(processes: Mapping[str, _Process], row: Parameters) -> tuple[str, dict[str, Any]]:
    """A fault's kind and parameters; `process` stands for the pids and unit of a known one."""
    parameters: dict[str, Any] = dict(row)
    kind = parameters.pop("kind")
    if "process" in parameters:
        process = processes[parameters.pop("process")]
        parameters |= {"pids": process.pids, "unit": process.unit}
    return str(kind), parameters


def _objectives(file: _File, data: _Drill) -> dict[str, tuple[str, float, float, str]]:
    """The promises' limits, then the drill's own, which may be stricter or looser."""
    found: dict[str, tuple[str, float, float, str]] = {}
    for source, limits in (
        *((file.promise[name].source, file.promise[name].limits) for name in data.promises),
        (data.source, data.objectives),
    ):
        for name, limit in limits.items():
            _check_name(name)
            both = limit if isinstance(limit, _Limit) else _Limit(at_most=limit)
            found[name] = (name, both.at_least, both.at_most, source)
    if not found:
        raise ValueError(f"drill {data.name} has no objective: it could not fail")
    return found


def _check_name(name: str) -> None:
    kind, _, subject = name.partition("_")
    known = kind in MEASURES and subject in SUBJECTS
    if not known and kind not in ("fires", "clears") and name not in WHOLE:
        raise ValueError(f"no objective is named {name}")


def _wrong(expected: str, found: str, where: str) -> DrillError:
    return DrillError(expected=expected, found=found, where=where, remedy="correct the data")
