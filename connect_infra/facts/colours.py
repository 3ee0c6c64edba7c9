"""The two colours as clients on the host meet them, and the Redis that both use."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pydantic import BaseModel, ConfigDict, TypeAdapter

from connect_infra.facts.answers import read_json
from connect_infra.facts.base import Output, junk

NAME = "colours"

PORTS: Mapping[str, int] = {"app1": 3000, "app2": 3001}
"""Where each colour is published on the host itself."""

REDIS = "docker exec connect_redis redis-cli"

COMMANDS: Mapping[str, str] = {
    **{
        app: f"curl --silent --show-error --max-time 5 http://localhost:{port}/api/health"
        for app, port in PORTS.items()
    },
    "ping": f"{REDIS} ping",
    "stranger": "docker exec connect_redis env -u REDISCLI_AUTH redis-cli ping 2>&1 || true",
    "redis": f"{REDIS} info",
    "clients": f"{REDIS} client list",
    "config": f"{REDIS} config get '*'",
}

_junk = junk("connect_redis", "see: docker logs connect_redis")


class Health(BaseModel):
    """What a colour says of itself and of the services that it needs."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    status: str
    version: str
    checks: Mapping[str, str]


_HEALTH = TypeAdapter(Health)


@dataclass(frozen=True)
class ColoursFacts:
    """Both colours and their Redis; each part is read when asked for."""

    outputs: Mapping[str, Output]

    def health(self, app: str) -> Health:
        """What one colour answers at its own port; ObservationError when it doesn't answer."""
        where = f"http://localhost:{PORTS[app]}/api/health"
        return read_json(self.outputs[app], _HEALTH, where)

    @cached_property
    def ping(self) -> str:
        """What Redis answers to the documented `redis-cli ping`."""
        return self.outputs["ping"].text("redis-cli ping").strip()

    @cached_property
    def stranger(self) -> str:
        """What Redis answers to a client without a password."""
        return self.outputs["stranger"].text("redis-cli ping without a password").strip()

    @cached_property
    def redis(self) -> Mapping[str, str]:
        """Redis' INFO."""
        lines = self.outputs["redis"].text("redis-cli info").replace("\r", "").splitlines()
        info = dict(line.split(":", 1) for line in lines if ":" in line)
        if "redis_version" not in info:
            raise _junk("redis_version in INFO", str(lines[:1]))
        return info

    @cached_property
    def redis_config(self) -> Mapping[str, str]:
        """Redis' settings at run time."""
        lines = self.outputs["config"].text("redis-cli config get").replace("\r", "").split("\n")
        config = dict(zip(lines[::2], lines[1::2], strict=False))
        if "appendonly" not in config:
            raise _junk("appendonly in CONFIG GET", str(lines[:1]))
        return config

    @cached_property
    def clients(self) -> tuple[str, ...]:
        """The lines of Redis' CLIENT LIST."""
        return tuple(self.outputs["clients"].text("redis-cli client list").splitlines())


def parse(outputs: Mapping[str, Output]) -> ColoursFacts:
    """Keep the outputs; each part is parsed, and may raise ObservationError, when asked for."""
    return ColoursFacts(outputs)
