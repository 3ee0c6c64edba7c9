"""The command line: a thin door onto the packages, one module a group of commands."""

import sys

import typer
from rich.console import Console

from connect_infra.cli.condition import health
from connect_infra.cli.controls import controls
from connect_infra.cli.coverage import coverage
from connect_infra.cli.doctor import doctor
from connect_infra.cli.drift import drift
from connect_infra.cli.drill import app as drill
from connect_infra.cli.lab import app as lab
from connect_infra.cli.load import app as load
from connect_infra.cli.operations import backup, confirm, deploy, restore, rollback
from connect_infra.cli.plan import apply, plan
from connect_infra.cli.release import app as release
from connect_infra.cli.report import report
from connect_infra.cli.verify import verify
from connect_infra.errors import ConnectInfraError

app = typer.Typer(
    name="connect-infra",
    help="Provisions, verifies, loads and breaks the infrastructure of Connect, test first.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

COMPLY, OPERATE, PROVE, HERE = "A host as documented", "Operations", "Proofs", "This machine"
"""The panels of the overview."""

app.command(rich_help_panel=COMPLY)(plan)
app.command(rich_help_panel=COMPLY)(apply)
app.command(rich_help_panel=COMPLY)(verify)
app.command(rich_help_panel=COMPLY)(controls)
app.command(rich_help_panel=OPERATE)(deploy)
app.command(rich_help_panel=OPERATE)(rollback)
app.command(rich_help_panel=OPERATE)(confirm)
app.command(rich_help_panel=OPERATE)(backup)
app.command(rich_help_panel=OPERATE)(restore)
app.command(rich_help_panel=OPERATE)(health)
app.command(rich_help_panel=PROVE)(drift)
app.command(rich_help_panel=PROVE)(coverage)
app.command(rich_help_panel=PROVE)(report)
app.add_typer(load, name="load", rich_help_panel=PROVE)
app.add_typer(drill, name="drill", rich_help_panel=PROVE)
app.command(rich_help_panel=HERE)(doctor)
app.add_typer(lab, name="lab", rich_help_panel=HERE)
app.add_typer(release, name="release", rich_help_panel=HERE)

USAGE_ERROR = 2
"""Exit code for a user's mistake and for what keeps a command from starting."""


def main() -> None:
    """Run the command line; what a user can mend is one line, never a traceback."""
    try:
        app()
    except ConnectInfraError as problem:
        Console(stderr=True, soft_wrap=True).print(
            f"error: {problem}", style="red", markup=False, highlight=False
        )
        sys.exit(USAGE_ERROR)
