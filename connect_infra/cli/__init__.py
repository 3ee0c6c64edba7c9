"""The command line: a thin door onto the packages, one module a group of commands."""

import sys

import typer

from connect_infra.cli.overview import LINES, MARKUP, Overview
from connect_infra.cli.refusal import say_refused
from connect_infra.errors import ConnectInfraError

app = typer.Typer(
    name="connect-infra",
    help="Provisions, verifies, loads and breaks the infrastructure of Connect, test first.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=MARKUP,
    cls=Overview,
)


def elsewhere() -> None:
    """Stands for a command in the overview: `Overview` calls the command itself."""


for name, line in LINES.items():
    app.command(name, help=line.says, rich_help_panel=line.panel)(elsewhere)

USAGE_ERROR = 2
"""Exit code for a user's mistake and for what keeps a command from starting."""


def main() -> None:
    """Run the command line; what a user can mend is one line, never a traceback."""
    try:
        app()
    except ConnectInfraError as problem:
        say_refused(problem)
        sys.exit(USAGE_ERROR)
