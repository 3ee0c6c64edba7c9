"""A container of the Docker engine as the host, without any network."""

import docker
from docker.models.containers import Container

from connect_infra.errors import HostUnreachable
from connect_infra.targets import Target
from connect_infra.transport.base import Channel, Completed, Connection
from connect_infra.transport.local import LocalConnection


class ContainerConnection(Connection):
    """Commands run as root in the container, through the engine's own client program."""

    def __init__(self, target: Target) -> None:
        """Find the running container `target.host`, or raise HostUnreachable."""
        super().__init__(f"{target.name} (container {target.host})")
        self._target = target
        container = self._find(target.host)
        self._prefix = ["docker", "exec", "-i", str(container.id)]
        self._local = LocalConnection(self.name)

    def _find(self, name: str) -> Container:
        try:
            container = docker.from_env(timeout=10).containers.get(name)
        except (docker.errors.DockerException, OSError) as problem:
            raise self._unreachable(str(problem).splitlines()[0]) from None
        if container.status != "running":
            raise self._unreachable(f"a container that is {container.status}")
        return container

    def _unreachable(self, found: str) -> HostUnreachable:
        return HostUnreachable(
            expected="a running container",
            found=found,
            where=self.name,
            remedy="check the host in the inventory, and `docker ps`",
        )

    def execute(self, argv: list[str], stdin: bytes, timeout: float) -> Completed:
        """Run a command in the container."""
        return self._local.execute([*self._prefix, *_as_root(argv)], stdin, timeout)

    def open_channel(self, argv: list[str]) -> Channel:
        """Start a command in the container."""
        return self._local.open_channel([*self._prefix, *argv])

    def again(self) -> Connection:
        """Find the container once more."""
        return ContainerConnection(self._target)

    def close(self) -> None:
        """Nothing is held open."""


def _as_root(argv: list[str]) -> list[str]:
    return argv[2:] if argv[:2] == ["sudo", "-n"] else argv
