"""`connect-infra deploy`, `rollback`: releases on a target."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from connect_infra import operations
from connect_infra.cli.plan import InventoryFile, TargetName, agreed, refused
from connect_infra.errors import ConnectInfraError
from connect_infra.targets import load_inventory
from connect_infra.transport import Connection, connect

Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]


def deploy(
    package: Annotated[Path, typer.Argument(help="A release package (*.tar.gz).")],
    target: TargetName,
    yes: Yes = False,
    inventory: InventoryFile = None,
) -> None:
    """Deploy a release package without an interruption, or leave everything as it was.

    Exit code 0 when its version is served, 1 when the release before is (or on a no).

    Example: connect-infra deploy dist/connect-1.4.0.tar.gz --target lab --yes
    """
    with _changing(target, inventory, yes, f"Deploy {package.name}") as (connection, progress):
        operations.deploy(connection, package, progress)


def rollback(target: TargetName, yes: Yes = False, inventory: InventoryFile = None) -> None:
    """Go back to the release that was current before, without an interruption.

    Again goes one release further back. Exit code 0 when it is served, 1 otherwise.

    Example: connect-infra rollback --target lab --yes
    """
    with _changing(target, inventory, yes, "Roll back") as (connection, progress):
        operations.rollback(connection, progress)


@contextmanager
def _changing(
    name: str, inventory: Path | None, yes: bool, what: str
) -> Iterator[tuple[Connection, Callable[[str], None]]]:
    """A connection to a target that may be changed, and a way to say how far the change is."""
    console = Console(soft_wrap=True, highlight=False)
    try:
        target = load_inventory(inventory).target(name)
        if not agreed(target, yes, f"{what} on {target.name}?"):
            console.print("nothing was changed")
            raise typer.Exit(1)
        started = time.monotonic()

        def progress(line: str) -> None:
            seconds = time.monotonic() - started
            console.print(f"{seconds:6.1f} s  {line}", markup=False)

        with connect(target) as connection:
            yield connection, progress
    except ConnectInfraError as problem:
        raise refused(problem) from problem
