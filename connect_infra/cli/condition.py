"""`connect-infra health`: is a target healthy? And what `doctor --target` saw there."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connect_infra import operations
from connect_infra.cli.common import InventoryFile, TargetName, refused
from connect_infra.document import Topology
from connect_infra.errors import ConnectInfraError, GuardError
from connect_infra.operations import Check, Section
from connect_infra.targets import Target, load_inventory
from connect_infra.transport import connect


def of_topology(target: Target, *topologies: Topology) -> Target:
    """The target, if an operation is for its topology; GuardError otherwise."""
    if target.topology not in topologies:
        raise GuardError(
            expected=f"a target of topology {' or '.join(topologies)}",
            found=f"topology = {target.topology}",
            where=f"target {target.name}",
            remedy="choose another target",
        )
    return target


def health(
    target: TargetName,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
    inventory: InventoryFile = None,
) -> None:
    """Check a target's health: resources, services, data, application, API, logs, backups.

    Changes nothing. Exit code 0 when it is healthy, 1 when something is not or nothing was seen.

    Example: connect-infra health --target lab
    """
    try:
        with connect(load_inventory(inventory).target(target)) as connection:
            checks = operations.health(connection)
    except ConnectInfraError as problem:
        raise refused(problem) from problem
    healthy = bool(checks) and all(check.ok for check in checks)
    if as_json:
        print(json.dumps({"healthy": healthy, "checks": [asdict(one) for one in checks]}, indent=2))
    else:
        _show_checks(checks)
    raise typer.Exit(0 if healthy else 1)


def _show_checks(checks: list[Check]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for check in checks:
        mark = "[green]ok[/]" if check.ok else "[red]FAIL[/]"
        table.add_row(mark, check.section, check.name, check.found.replace("[", "\\["))
    Console(soft_wrap=True).print(table)


def show_diagnosis(name: str, as_json: bool, inventory: InventoryFile) -> None:
    """Print what is seen on a target; what could not be seen is an error of that section."""
    try:
        target = load_inventory(inventory).target(name)
        with connect(target) as connection:
            sections = operations.diagnose(connection, target.topology)
    except ConnectInfraError as problem:
        raise refused(problem) from problem
    if as_json:
        print(json.dumps([asdict(section) for section in sections], indent=2))
    else:
        for section in sections:
            _show_section(section)
    raise typer.Exit(1 if any(section.problem for section in sections) else 0)


def _show_section(section: Section) -> None:
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"[bold]{section.title}[/]  [dim]{section.hint}[/]")
    if section.problem:
        console.print(f"  could not be observed: {section.problem}", style="red", markup=False)
    elif not section.rows:
        console.print("  none")
    table = Table(box=None, pad_edge=False, show_header=False)
    for row in section.rows:
        table.add_row(" ", *(cell.replace("[", "\\[") for cell in row))
    console.print(table)
