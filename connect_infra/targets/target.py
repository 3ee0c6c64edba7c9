"""A target: a host with a topology, a way in, a sizing, guards and waivers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from connect_infra.document import (
    DOCUMENTED_DOMAIN,
    Document,
    Expectation,
    Sizing,
    Topology,
    parse,
)


def _memory(value: object) -> object:
    """Accept "8GiB" for a number of bytes; pydantic says what is wrong with anything else."""
    return parse("memory", value) if isinstance(value, str) else value


def _located(value: object, info: ValidationInfo) -> object:
    """Make a path absolute: `~` is the user's home, the rest is beside the inventory file."""
    if not isinstance(value, str | Path):
        return value
    base = info.context["base"] if info.context else Path()
    return Path(base, Path(value).expanduser()).absolute()


Located = Annotated[Path, BeforeValidator(_located)]
Memory = Annotated[int, BeforeValidator(_memory), Field(gt=0)]


class Guards(BaseModel):
    """What may be done to a target beyond reading it; nothing unless the inventory says so."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    intrusive: bool = False
    """Specs that send more than a few requests, make bans or fill a cache."""
    load: bool = False
    """The documented load."""
    drills: bool = False
    """Faults."""


class Target(BaseModel):
    """One host as the inventory describes it. Paths are absolute; `memory` is in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    topology: Topology = "native"
    way: Literal["ssh", "docker", "local"] = "ssh"
    host: str = ""
    """Name or address for ssh, the container's name for docker, nothing for local."""
    port: int = Field(default=22, ge=1, le=65535)
    user: str = Field(default="connect", min_length=1)
    key: Located | None = None
    known_hosts: Located | None = None
    """None: the user's own ~/.ssh/known_hosts."""
    sizing: Sizing = "documented"
    memory: Memory | None = None
    production: bool = False
    lab: bool = False
    """Set by the lab for its own hosts, never by an inventory file."""
    domain: str = Field(default=DOCUMENTED_DOMAIN, min_length=1)
    guards: Guards = Guards()
    secrets: Located | None = None
    waivers: Located | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Target":
        if self.way != "local" and not self.host:
            raise ValueError(f'expected a `host` for way = "{self.way}", found none')
        if self.sizing == "scaled" and self.memory is None:
            raise ValueError('expected a `memory` such as "8GiB" for sizing = "scaled", found none')
        return self

    def expectations(self, document: Document) -> Mapping[str, Expectation]:
        """Return what this target must show of a document, by control id."""
        return document.on(self.sizing, self.memory, self.lab, self.domain)
