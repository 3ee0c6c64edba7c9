"""Releases of the application: deployed and taken back by the host's own scripts."""

from pathlib import Path

from connect_infra.operations.remote import Progress, brought, must
from connect_infra.transport import Connection


def deploy(connection: Connection, package: Path, progress: Progress) -> None:
    """Bring a package to the host and deploy it without an interruption.

    OperationError with the host's own words when anything fails; the release before is then
    current and serves, unless the message says otherwise.
    """
    with brought(connection, package, progress) as path:
        must(connection, "deploy.sh", path, progress=progress)


def rollback(connection: Connection, progress: Progress) -> None:
    """Go back to the release that was current before; OperationError when there is none."""
    must(connection, "rollback.sh", progress=progress)
