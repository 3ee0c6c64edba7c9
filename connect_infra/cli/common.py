"""What commands have in common: a target's options, the question, what is refused."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from connect_infra.cli.refusal import say_refused
from connect_infra.errors import ConnectInfraError, InventoryError
from connect_infra.targets import Target

ERROR = 1
"""Exit code when the target is not as it was asked for."""

TargetName = Annotated[str, typer.Option("--target", help="A target of the inventory, or lab.")]
InventoryFile = Annotated[
    Path | None, typer.Option("--inventory", help="Inventory file (default: connect-infra.toml).")
]


def agreed(target: Target, yes: bool, question: str) -> bool:
    """Whether somebody wants a change: asked, or --yes; in production its name must be typed."""
    if target.production:
        typed: str = typer.prompt(
            f"{target.name} is in production. Type its name to go on", default="", err=True
        )
        return typed == target.name
    if yes:
        return True
    if not sys.stdin.isatty():
        typer.echo("there is no terminal to ask on: give --yes", err=True)
        return False
    return typer.confirm(question, err=True)


def refused(problem: ConnectInfraError) -> typer.Exit:
    """Say in one line what is wrong; the exit to raise."""
    say_refused(problem)
    return typer.Exit(ERROR)


def refuse_unwritable(path: Path | None) -> None:
    """Say before the work, not after it, that its results would be lost; InventoryError."""
    if path is not None and not path.resolve().parent.is_dir():
        raise InventoryError(
            expected="a file in a directory that exists",
            found=f"no directory {path.resolve().parent}",
            where=str(path),
            remedy="make the directory, or name another file",
        )
