"""`connect-infra report`: results of any kind as one HTML page."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from connect_infra.cli.common import refuse_unwritable
from connect_infra.report.page import html, inputs


def report(
    files: Annotated[
        list[Path], typer.Argument(help="JSON of verify, drift, coverage, load, drill.")
    ],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
) -> None:
    """Make one HTML page of results.

    The verdict stands on top, then what it rests on. What a file holds is told by its content. The
    page holds all it needs. Exit code 0 when it was written, whatever its verdict; 2 when a file
    can't be read.

    Example: connect-infra report verify.json --out report.html
    """
    refuse_unwritable(out)
    page = html.page([inputs.load(path) for path in files], datetime.now(UTC))
    out.write_text(page.text, encoding="utf-8")
    typer.echo(f"{out}: {page.headline}")
