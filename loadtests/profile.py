"""A profile is data: how many users, when they ask, what for, how long, and what must then hold."""

import tomllib
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from connect_infra.errors import LoadError
from loadtests import arrivals
from loadtests.arrivals import Spacing
from loadtests.measures import MEASURES

ActionName = Literal[
    "home",
    "programs",
    "search",
    "program",
    "matches_hot",
    "matches_cold",
    "stylesheet",
    "script",
    "picture",
    "login",
    "upload",
    "scrape",
    "health",
]
"""What a user can do; `loadtests.actions` says how."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Objective(_Data):
    """What one measure of the run must be; exactly one of the limits is given."""

    measure: str
    at_most: float | None = None
    at_least: float | None = None
    source: str = ""
    """Where the limit comes from."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.measure not in MEASURES:
            raise ValueError(f"measure: expected one of {', '.join(MEASURES)}")
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError(f"{self.measure}: expected either at_most or at_least")
        return self

    @property
    def limit(self) -> float:
        """The limit, whichever sense it has."""
        return self.at_most if self.at_most is not None else self.at_least or 0.0

    def met_by(self, found: float) -> bool:
        """Whether a measured value is on the right side of the limit."""
        return found <= self.limit if self.at_most is not None else found >= self.limit


class Step(_Data):
    """A constant rate of all users together, in requests a second, for some seconds."""

    rate: float = Field(gt=0)
    seconds: float = Field(gt=0)


class Profile(_Data):
    """One kind of load. `warmup` seconds count for errors, not for latencies."""

    name: str
    description: str = Field(min_length=1)
    users: int = Field(ge=1)
    spacing: Spacing = "random"
    seed: int = 1
    sources: int = Field(default=200, ge=1, le=250)
    """How many client addresses the users share, where the generator can have several."""
    warmup: float = Field(default=0, ge=0)
    timeout: float = Field(default=30, gt=0)
    """Seconds after which a user gives up on an answer."""
    search_for_knee: bool = False
    """Judge each step by itself and stop at the first that breaks: the knee is the one before."""
    over_the_limit: bool = False
    """The run is about nginx' limits for a client address: it goes over them on purpose."""
    steps: tuple[Step, ...] = Field(min_length=1)
    mix: dict[ActionName, float]
    """Weights of what users do; they need not add up to anything."""
    objectives: tuple[Objective, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.mix or min(self.mix.values()) <= 0:
            raise ValueError("mix: expected weights above 0")
        if self.warmup >= self.duration:
            raise ValueError(f"warmup: expected less than the run's {self.duration:g} s")
        measures = [one.measure for one in self.objectives]
        if len(set(measures)) < len(measures):
            raise ValueError("objectives: expected each measure once")
        return self

    @property
    def arrivals(self) -> tuple[arrivals.Step, ...]:
        """The steps as the arrival model takes them."""
        return tuple(arrivals.Step(step.rate, step.seconds) for step in self.steps)

    @property
    def duration(self) -> float:
        """Seconds of load, warm-up included."""
        return arrivals.duration(self.arrivals)

    def for_seconds(self, seconds: float) -> "Profile":
        """The same load, cut or stretched in time; a step's rate stays."""
        factor = seconds / self.duration
        steps = [{"rate": one.rate, "seconds": one.seconds * factor} for one in self.steps]
        changed = self.model_dump() | {"steps": steps, "warmup": min(self.warmup, seconds / 3)}
        return Profile.model_validate(changed)


def names() -> list[str]:
    """All profiles there are."""
    return sorted(file.name.removesuffix(".toml") for file in _files())


def load_profile(name: str) -> Profile:
    """Read a profile; LoadError when there is none of that name, or its data is wrong."""
    found = next((one for one in _files() if one.name == f"{name}.toml"), None)
    if found is None:
        raise LoadError(
            expected=f"one of {', '.join(names())}",
            found=f"{name!r}",
            where="load profile",
            remedy="choose one of them, or add loadtests/profiles/NAME.toml",
        )
    return parse(name, found.read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Profile:
    """A profile of TOML, with what is common to all; LoadError says what is wrong with it."""
    try:
        return Profile.model_validate({"name": name} | _completed(tomllib.loads(text)))
    except (tomllib.TOMLDecodeError, ValidationError) as problem:
        raise LoadError(
            expected="a profile as docs/load.md describes it",
            found=_first(problem),
            where=f"loadtests/profiles/{name}.toml",
            remedy="mend the file",
        ) from problem


def _completed(own: dict[str, Any]) -> dict[str, Any]:
    """The profile's own mix and objectives, and the common ones that it says nothing about."""
    text = resources.files("loadtests").joinpath("common.toml").read_text(encoding="utf-8")
    common = tomllib.loads(text)
    objectives = own.get("objectives", [])
    stated = {one.get("measure") for one in objectives}
    common["objectives"] = [
        *objectives,
        *(one for one in common["objectives"] if one["measure"] not in stated),
    ]
    return common | {key: value for key, value in own.items() if key != "objectives"}


def _files() -> list[Traversable]:
    folder = resources.files("loadtests").joinpath("profiles")
    return [file for file in folder.iterdir() if file.name.endswith(".toml")]


def _first(problem: Exception) -> str:
    if not isinstance(problem, ValidationError):
        return str(problem)
    first = problem.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
