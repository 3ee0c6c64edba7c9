"""The way to a host: one connection that runs scripts, puts files and carries bytes to a port."""

from collections.abc import Callable

from connect_infra.targets import Target
from connect_infra.transport.base import Completed, Connection
from connect_infra.transport.relay import Channel

__all__ = ["Channel", "Completed", "Connection", "connect", "implementation"]


def connect(target: Target) -> Connection:
    """Open the one connection to a target; TransportError when that can't be done."""
    return implementation(target.way)(target)


def implementation(way: str) -> Callable[[Target], Connection]:
    """Return what connects this way, imported.

    Only what is needed is imported, because paramiko and docker take longer to import than to
    connect. Two threads that import paramiko at once can fail in the midst of it: who connects in
    a thread asks for the implementation before that.
    """
    if way == "ssh":
        from connect_infra.transport.ssh import SshConnection

        return SshConnection
    if way == "docker":
        from connect_infra.transport.container import ContainerConnection

        return ContainerConnection
    from connect_infra.transport.local import LocalConnection

    return LocalConnection
