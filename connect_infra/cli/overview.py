"""The overview of all commands; a command's module is imported once that command is called.

What the commands need (Docker's client, pytest, the load generator) takes seconds to import: the
overview shall not wait for it, and no command for what only another one needs.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_group

COMPLY, OPERATE, PROVE, HERE = "A host as documented", "Operations", "Proofs", "This machine"
"""The panels of the overview."""

MARKUP: Final = "markdown"
"""How the help is written."""


class Line(NamedTuple):
    """A command's line in the overview, and where the command itself is."""

    panel: str
    place: str
    """The module here, and in it the function of a command or the app of a group of commands."""
    says: str
    """The first sentence of the command's own help."""


LINES = {
    "plan": Line(COMPLY, "plan:plan", "Show what would change on a target; changes nothing."),
    "apply": Line(COMPLY, "plan:apply", "Show what would change on a target, ask, and make it so."),
    "verify": Line(COMPLY, "verify:verify", "Hold a target against the documents."),
    "controls": Line(
        COMPLY,
        "controls:controls",
        "List every documented statement, and the specs that assert it.",
    ),
    "deploy": Line(
        OPERATE,
        "operations:deploy",
        "Deploy a release package without an interruption, or leave everything as it was.",
    ),
    "rollback": Line(
        OPERATE,
        "operations:rollback",
        "Go back to the release that was current before, without an interruption.",
    ),
    "confirm": Line(
        OPERATE,
        "operations:confirm",
        "Give the release that is served to both colours of a Docker host; app1 serves again.",
    ),
    "backup": Line(
        OPERATE,
        "operations:backup",
        "Back up the database and the system (releases, configuration, uploads) on a target.",
    ),
    "restore": Line(
        OPERATE,
        "operations:restore",
        "Restore database and system from a target's backups; the platform is down meanwhile.",
    ),
    "health": Line(
        OPERATE,
        "condition:health",
        "Check a target's health: resources, services, data, application, API, logs, backups.",
    ),
    "drift": Line(
        PROVE,
        "drift:drift",
        "Break controls on disposable lab hosts, see their specs turn red, undo, and prove that.",
    ),
    "coverage": Line(
        PROVE,
        "coverage:coverage",
        "List every documented statement: provisioned, asserted, drift verdict, errata, drills, "
        "load.",
    ),
    "report": Line(PROVE, "report:report", "Make one HTML page of results."),
    "load": Line(PROVE, "load:app", "The documented load: made, judged, kept, compared."),
    "drill": Line(PROVE, "drill:app", "Faults, and the recovery from them."),
    "doctor": Line(
        HERE,
        "doctor:doctor",
        "Say what this machine lacks for the lab, and how to get it; or look around on a target.",
    ),
    "lab": Line(HERE, "lab:app", "Disposable lab hosts on Docker."),
    "release": Line(HERE, "release:app", "Packages of the stand-in release."),
}


class Overview(TyperGroup):
    """Shows the lines; calls the command that a line stands for."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find a line by its name, as ever; give its command in its place."""
        name, line, rest = super().resolve_command(ctx, args)
        return name, line if name is None else command(name), rest


def command(name: str) -> Any:
    """Import a command's module; return the command as Typer makes it of what stands there."""
    module, _, attribute = LINES[name].place.partition(":")
    found: typer.Typer | Callable[..., None] = getattr(
        import_module(f"connect_infra.cli.{module}"), attribute
    )
    app = typer.Typer(rich_markup_mode=MARKUP)
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name)
    else:
        app.command(name)(found)
    return get_group(app).commands[name]
