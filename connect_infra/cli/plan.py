"""`connect-infra plan` and `connect-infra apply`: what would change on a host, and making it so."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import provisioning
from connect_infra.cli.common import ERROR, InventoryFile, TargetName, agreed, refused
from connect_infra.errors import ConnectInfraError
from connect_infra.targets import Target, load_inventory
from connect_infra.transport import connect
from provisioning import Plan

NOTHING, CHANGES = 0, 2
"""Exit codes, as `terraform plan -detailed-exitcode` has them."""

ShowDiff = Annotated[bool, typer.Option("--diff", help="Show the files' differences.")]


def plan(
    target: TargetName,
    diff: ShowDiff = False,
    out: Annotated[Path | None, typer.Option(help="Save the plan to this file.")] = None,
    inventory: InventoryFile = None,
) -> None:
    """Show what would change on a target; changes nothing.

    Exit code 0 when there is nothing to do, 2 when there are changes, 1 on an error.

    Example: connect-infra plan --target lab --diff
    """
    try:
        chosen = load_inventory(inventory).target(target)
        components = provisioning.wanted(chosen)
        with connect(chosen) as connection:
            found = provisioning.diff(components, provisioning.observe(connection, components))
        if out is not None:
            found.save(out)
    except ConnectInfraError as problem:
        raise refused(problem) from problem
    Console(soft_wrap=True, highlight=False).print(found.render(diff=diff))
    raise typer.Exit(CHANGES if found else NOTHING)


def apply(
    target: TargetName,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    saved: Annotated[
        Path | None, typer.Option("--plan", help="Apply this saved plan, or nothing.")
    ] = None,
    diff: ShowDiff = False,
    inventory: InventoryFile = None,
) -> None:
    """Show what would change on a target, ask, and make it so.

    On a production target its name must be typed, also with --yes. Exit code 0 when the target is
    as wanted, 1 on an error or a no.

    Example: connect-infra apply --target lab --yes
    """
    try:
        _apply(load_inventory(inventory).target(target), yes, saved, diff)
    except ConnectInfraError as problem:
        raise refused(problem) from problem


def _apply(target: Target, yes: bool, saved: Path | None, diff: bool) -> None:
    console = Console(soft_wrap=True, highlight=False)
    started = time.monotonic()
    components = provisioning.wanted(target)
    with connect(target) as connection:
        plan = provisioning.diff(components, provisioning.observe(connection, components))
        if saved is not None:
            Plan.load(saved).require_same_as(plan)
        console.print(plan.render(diff=diff))
        if not plan:
            return
        if not agreed(target, yes, "Apply this plan?"):
            console.print("nothing was changed")
            raise typer.Exit(ERROR)

        def progress(message: str) -> None:
            console.print(f"[dim]{time.monotonic() - started:6.1f} s[/]  {message}")

        provisioning.apply(connection, plan, components, progress)
    console.print(f"{target.name} is as wanted, after {time.monotonic() - started:.1f} s")
