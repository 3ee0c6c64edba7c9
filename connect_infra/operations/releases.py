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


def confirm(connection: Connection, progress: Progress) -> None:
    """Give the release that is served to both colours; OperationError where one can't run it."""
    must(connection, "confirm.sh", progress=progress)


def full_rollback(connection: Connection, version: str, progress: Progress) -> None:
    """Start a version that is saved on a Docker host and send the traffic there.

    OperationError with the host's own words when it can't be served; nothing was switched then.
    """
    must(connection, "rollback-full.sh", version, progress=progress)
