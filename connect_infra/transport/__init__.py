"""The way to a host: one connection that runs scripts, puts files and carries bytes to a port."""

from connect_infra.targets import Target
from connect_infra.transport.base import Completed, Connection
from connect_infra.transport.relay import Channel

__all__ = ["Channel", "Completed", "Connection", "connect"]


def connect(target: Target) -> Connection:
    """Open the one connection to a target; TransportError when that can't be done."""
    # Imported here because paramiko and docker take longer to import than to connect.
    if target.way == "ssh":
        from connect_infra.transport.ssh import SshConnection

        return SshConnection(target)
    if target.way == "docker":
        from connect_infra.transport.container import ContainerConnection

        return ContainerConnection(target)
    from connect_infra.transport.local import LocalConnection

    return LocalConnection(target.name)
