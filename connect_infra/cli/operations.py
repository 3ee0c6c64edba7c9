"""`connect-infra deploy`, `rollback`, `confirm`, `backup`, `restore`: they change a target."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from connect_infra import operations
from connect_infra.cli.common import InventoryFile, TargetName, agreed, refused
from connect_infra.cli.condition import of_topology
from connect_infra.document import Topology
from connect_infra.errors import ConnectInfraError
from connect_infra.targets import load_inventory
from connect_infra.transport import Connection, connect

Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]

BOTH: tuple[Topology, ...] = ("native", "containers")


def deploy(
    package: Annotated[Path, typer.Argument(help="A release package (*.tar.gz).")],
    target: TargetName,
    yes: Yes = False,
    inventory: InventoryFile = None,
) -> None:
    """Deploy a release package without an interruption, or leave everything as it was.

    On a Docker host it goes to the colour that does not serve; `confirm` gives it to both. Exit
    code 0 when its version is served, 1 when the release before is (or on a no).

    Example: connect-infra deploy dist/connect-1.4.0.tar.gz --target lab --yes
    """
    what = f"Deploy {package.name}"
    with _changing(target, inventory, yes, what, BOTH) as (connection, progress):
        operations.deploy(connection, package, progress)


def rollback(
    target: TargetName,
    to: Annotated[str, typer.Option(help="A saved version, or previous; Docker hosts only.")] = "",
    yes: Yes = False,
    inventory: InventoryFile = None,
) -> None:
    """Go back to the release that was current before, without an interruption.

    On a native host, again goes one release further back. On a Docker host it is the one that the
    other colour still runs, and `--to` starts any version that is saved there. Exit code 0 when it
    is served, 1 otherwise.

    Example: connect-infra rollback --target lab --yes
    """
    if to:
        what = f"Roll back to {to}"
        with _changing(target, inventory, yes, what, ("containers",)) as (connection, progress):
            operations.full_rollback(connection, to, progress)
        return
    with _changing(target, inventory, yes, "Roll back", BOTH) as (connection, progress):
        operations.rollback(connection, progress)


def confirm(target: TargetName, yes: Yes = False, inventory: InventoryFile = None) -> None:
    """Give the release that is served to both colours of a Docker host; app1 serves again.

    From then on there is no instant way back to the release of before. Exit code 0 when both run
    it, 1 otherwise.

    Example: connect-infra confirm --target lab-containers --yes
    """
    what = "Give the served release to both colours"
    with _changing(target, inventory, yes, what, ("containers",)) as (connection, progress):
        operations.confirm(connection, progress)


class Part(StrEnum):
    """What a backup or restore is of."""

    DATABASE = "database"
    SYSTEM = "system"


Only = Annotated[Part | None, typer.Option("--only", help="One of the two, instead of both.")]


def backup(
    target: TargetName,
    only: Only = None,
    full: Annotated[bool, typer.Option("--full", help="A full backup of the database.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Then restore both beside the running platform.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Then copy both into this file here (secrets included).")
    ] = None,
    inventory: InventoryFile = None,
) -> None:
    """Back up the database and the system (releases, configuration, uploads) on a target.

    On a Docker host the system is Redis' data and the uploads, and --verify is not there. Exit
    code 0 when that was done, 1 otherwise. Nothing that runs is changed, so it does not ask.

    Example: connect-infra backup --target lab --verify
    """
    if verify:
        _topology_of(target, inventory, ("native",))
    topology = _topology_of(target, inventory, BOTH)
    with _working(target, inventory, BOTH) as (connection, progress):
        if only != Part.SYSTEM:
            operations.back_up_database(connection, progress, full=full)
        if only != Part.DATABASE:
            operations.back_up_system(connection, progress)
        if verify:
            operations.verify_backups(connection, progress)
        if out is not None:
            operations.copy_off(connection, out, progress, topology)


def restore(
    target: TargetName,
    only: Only = None,
    to: Annotated[
        str, typer.Option(help="The database as it was at this moment; later data is gone.")
    ] = "",
    copy: Annotated[
        Path | None, typer.Option("--from", help="A file that `backup --out` wrote.")
    ] = None,
    yes: Yes = False,
    inventory: InventoryFile = None,
) -> None:
    """Restore database and system from a target's backups; the platform is down meanwhile.

    Exit code 0 when everything is restored and served, 1 otherwise (or on a no).

    Example: connect-infra restore --target lab --only database --to "2026-03-01 14:30+00"
    """
    what = f"Stop the platform and restore {only or 'database and system'}"
    topology = _topology_of(target, inventory, BOTH)
    with _changing(target, inventory, yes, what, BOTH) as (connection, progress):
        if copy is not None:
            operations.copy_back(connection, copy, progress, topology)
        if only != Part.SYSTEM:
            operations.restore_database(connection, progress, to, brought=copy is not None)
        if only != Part.DATABASE:
            operations.restore_system(connection, progress)


def _topology_of(name: str, inventory: Path | None, topologies: tuple[Topology, ...]) -> Topology:
    """The target's topology, which must be one of these."""
    try:
        return of_topology(load_inventory(inventory).target(name), *topologies).topology
    except ConnectInfraError as problem:
        raise refused(problem) from problem


@contextmanager
def _changing(
    name: str,
    inventory: Path | None,
    yes: bool,
    what: str,
    topologies: tuple[Topology, ...] = ("native",),
) -> Iterator[tuple[Connection, Callable[[str], None]]]:
    """As `_working`, once somebody has agreed."""
    try:
        target = of_topology(load_inventory(inventory).target(name), *topologies)
        allowed = agreed(target, yes, f"{what} on {target.name}?")
    except ConnectInfraError as problem:
        raise refused(problem) from problem
    if not allowed:
        typer.echo("nothing was changed")
        raise typer.Exit(1)
    with _working(name, inventory, topologies) as working:
        yield working


@contextmanager
def _working(
    name: str, inventory: Path | None, topologies: tuple[Topology, ...] = ("native",)
) -> Iterator[tuple[Connection, Callable[[str], None]]]:
    """A connection to a target, and a way to say how far the work on it is."""
    console = Console(soft_wrap=True, highlight=False)
    started = time.monotonic()

    def progress(line: str) -> None:
        console.print(f"{time.monotonic() - started:6.1f} s  {line}", markup=False)

    try:
        target = of_topology(load_inventory(inventory).target(name), *topologies)
        with connect(target) as connection:
            yield connection, progress
    except ConnectInfraError as problem:
        raise refused(problem) from problem
