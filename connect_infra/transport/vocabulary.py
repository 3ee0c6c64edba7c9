"""testinfra's vocabulary (host.file, host.service, ...) over our one connection."""

from typing import Any

import testinfra.host
from testinfra.backend import base

from connect_infra.transport.base import Connection


class ConnectionBackend(base.BaseBackend):  # type: ignore[misc]  # testinfra has no types
    """A testinfra backend whose commands run as root over a Connection."""

    NAME = "connect-infra"

    def __init__(self, connection: Connection) -> None:
        """Use `connection`, which stays its owner's to close."""
        super().__init__(connection.name)
        self._connection = connection

    def run(self, command: str, *args: str, **_: Any) -> base.CommandResult:
        """Run a shell command as root."""
        line = self.get_command(command, *args)
        done = self._connection.run(line, sudo=True)
        return self.result(done.code, line.encode(), done.stdout.encode(), done.stderr.encode())


def testinfra_host(connection: Connection) -> testinfra.host.Host:
    """A testinfra host over `connection`."""
    return testinfra.host.Host(ConnectionBackend(connection))
