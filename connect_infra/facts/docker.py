"""The Docker engine of a host: its versions, containers and images, and what the files say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from connect_infra.errors import ObservationError
from connect_infra.facts.answers import read_json
from connect_infra.facts.base import Output

NAME = "docker"

ROOT = "/opt/connect"
COMPOSE_FILE = f"{ROOT}/docker-compose.production.yml"
IMAGES = f"{ROOT}/images"
SECRETS = f"{ROOT}/.env.production.local"

PLATFORM = (
    *("haproxy", "connect_app1", "connect_app2", "connect_postgres", "connect_redis"),
    *("patroni1", "patroni2", "etcd"),
)
"""The platform's containers: document S names the first five, its diagram the others."""

WATCHERS = (
    *("prometheus", "postgres_exporter", "redis_exporter", "node_exporter"),
    *("alertmanager", "alert_log"),
)
"""The containers that document S' dashboard and its quiet alerts need."""

COMPOSE = (
    "compose() { if docker compose version >/dev/null 2>&1; "
    'then docker compose "$@"; else docker-compose "$@"; fi; }; '
)

COMMANDS: Mapping[str, str] = {
    "version": "docker version --format '{{json .Server}}'",
    "compose": f"{COMPOSE} compose version --short",
    "containers": "docker inspect $(docker ps --all --quiet)",
    "images": "docker image inspect $(docker image ls --quiet --no-trunc | sort -u)",
    "hashes": f"{COMPOSE} cd {ROOT} && compose -f {COMPOSE_FILE} config --hash='*'",
    "saved": f"ls {IMAGES}",
    # Names and the file's own text; the collector puts a reference in the place of each secret.
    "file": f"cat {COMPOSE_FILE}",
    "secrets": f"stat -c '%U %a %Y' {SECRETS} && date +%s && cat {ROOT}/.gitignore",
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Health(_Part):
    """What the engine's own check of a container has found last."""

    status: str = Field(alias="Status")


class State(_Part):
    """Whether a container runs, since when, and how it is."""

    running: bool = Field(alias="Running")
    started: str = Field(alias="StartedAt")
    health: Health | None = Field(alias="Health", default=None)


class Restart(_Part):
    """What happens to a container that has ended."""

    name: str = Field(alias="Name")


class Logs(_Part):
    """Where a container's output goes, and how much of it is kept."""

    type: str = Field(alias="Type")
    options: Mapping[str, str] = Field(alias="Config")


class HostSide(_Part):
    """What the engine gives a container and withholds from it. `memory` is in bytes."""

    restart: Restart = Field(alias="RestartPolicy")
    memory: int = Field(alias="Memory")
    logs: Logs = Field(alias="LogConfig")
    privileged: bool = Field(alias="Privileged")


class Settings(_Part):
    """What a container was made with."""

    image: str = Field(alias="Image")
    environment: tuple[str, ...] = Field(alias="Env", default=())
    labels: Mapping[str, str] = Field(alias="Labels", default={})


class Binding(_Part):
    """An address of the host that leads to a container's port."""

    address: str = Field(alias="HostIp")
    port: str = Field(alias="HostPort")


class Network(_Part):
    """A container's place in one network."""

    address: str = Field(alias="IPAddress")


class Networks(_Part):
    """A container's networks, and its ports as the engine publishes them."""

    ports: Mapping[str, tuple[Binding, ...] | None] = Field(alias="Ports")
    networks: Mapping[str, Network] = Field(alias="Networks")


class Mount(_Part):
    """What lies at a place of a container's file system."""

    type: str = Field(alias="Type")
    source: str = Field(alias="Source", default="")
    place: str = Field(alias="Destination")


class Container(_Part):
    """One container."""

    id: str = Field(alias="Id")
    path: str = Field(alias="Name")
    image_id: str = Field(alias="Image")
    state: State = Field(alias="State")
    host: HostSide = Field(alias="HostConfig")
    settings: Settings = Field(alias="Config")
    network: Networks = Field(alias="NetworkSettings")
    mounts: tuple[Mount, ...] = Field(alias="Mounts")

    @property
    def name(self) -> str:
        """Its name."""
        return self.path.removeprefix("/")

    @property
    def service(self) -> str:
        """The service of the compose file that it belongs to; empty for a stranger."""
        return self.settings.labels.get("com.docker.compose.service", "")

    @property
    def hash(self) -> str:
        """What Compose made it of, as Compose itself digests it."""
        return self.settings.labels.get("com.docker.compose.config-hash", "")

    @property
    def health(self) -> str:
        """healthy, unhealthy, starting; `unchecked` when it has no check."""
        return self.state.health.status if self.state.health else "unchecked"

    @property
    def published(self) -> frozenset[str]:
        """What leads to it from outside: `address:port->port/protocol`."""
        return frozenset(
            f"{one.address}:{one.port}->{inside}"
            for inside, bindings in self.network.ports.items()
            for one in bindings or ()
        )


class Image(_Part):
    """One image: its names, and what it gives every container."""

    id: str = Field(alias="Id")
    tags: tuple[str, ...] = Field(alias="RepoTags")
    settings: Mapping[str, Any] = Field(alias="Config")


_STATED = re.compile(r"(\w+) ([0-7]{1,4}) ([0-9]{1,18})\n([0-9]{1,18})\n")
"""What `stat` and `date` say of the secrets' file: owner, mode, when it changed, the time now."""

_CONTAINERS = TypeAdapter(tuple[Container, ...])
_IMAGES = TypeAdapter(tuple[Image, ...])
_VERSION = TypeAdapter(dict[str, Any])


@dataclass(frozen=True)
class SecretsFile:
    """The file of the secrets: owner, mode, age in seconds, and what git is told to ignore."""

    owner: str
    mode: int
    age: int
    ignored: frozenset[str]


@dataclass(frozen=True)
class DockerFacts:
    """The engine; each part is read when asked for, so that one's failure leaves the others."""

    outputs: Mapping[str, Output]

    @cached_property
    def version(self) -> str:
        """The engine's version."""
        return str(read_json(self.outputs["version"], _VERSION, "docker version").get("Version"))

    @cached_property
    def compose_version(self) -> str:
        """Compose's version."""
        return self.outputs["compose"].text("compose version").strip()

    @cached_property
    def containers(self) -> Mapping[str, Container]:
        """Every container by its name, running or not."""
        found = read_json(self.outputs["containers"], _CONTAINERS, "docker inspect")
        return {one.name: one for one in found}

    def container(self, name: str) -> Container:
        """The container of that name, which runs; ObservationError when there is none."""
        one = self.containers.get(name)
        if one is None or not one.state.running:
            raise ObservationError(
                expected=f"a running container {name}",
                found="none" if one is None else "one that has stopped",
                where="the Docker engine",
                remedy=f"run connect-infra apply, or see: docker logs {name}",
            )
        return one

    @cached_property
    def images(self) -> tuple[Image, ...]:
        """Every image."""
        return read_json(self.outputs["images"], _IMAGES, "docker image inspect")

    def image(self, tag: str) -> Image | None:
        """The image of that name, or None."""
        return next((one for one in self.images if tag in one.tags), None)

    @cached_property
    def hashes(self) -> Mapping[str, str]:
        """What the compose file says of each service now, as Compose itself digests it."""
        lines = self.outputs["hashes"].text("compose config").splitlines()
        return dict(line.split(None, 1) for line in lines if len(line.split(None, 1)) == 2)

    @cached_property
    def compose_file(self) -> str:
        """The compose file's text, with references in the place of secrets."""
        return self.outputs["file"].text(COMPOSE_FILE)

    @cached_property
    def saved_images(self) -> frozenset[str]:
        """The names of the saved images."""
        return frozenset(self.outputs["saved"].text(IMAGES).split())

    @cached_property
    def secrets_file(self) -> SecretsFile:
        """The file of the secrets, without what is in it."""
        text = self.outputs["secrets"].text(SECRETS)
        stated = _STATED.match(text)
        if stated is None:
            raise ObservationError(
                expected="owner, mode and times",
                found=repr(text[:80]),
                where=SECRETS,
                remedy=f"see what it shows on the host: stat {SECRETS}",
            )
        owner, mode, changed, now = stated.groups()
        ignored = frozenset(text[stated.end() :].splitlines())
        return SecretsFile(owner, int(mode, 8), int(now) - int(changed), ignored)


def parse(outputs: Mapping[str, Output]) -> DockerFacts:
    """Keep the outputs; each part is parsed, and may raise ObservationError, when asked for."""
    return DockerFacts(outputs)
