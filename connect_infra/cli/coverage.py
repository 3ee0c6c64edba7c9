"""`connect-infra coverage`: every row of the documents, and what stands behind it."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from connect_infra import document
from connect_infra.cli.proofs import drills_by_control, load_by_control
from connect_infra.cli.provisioned import provisioned
from connect_infra.report import coverage as report
from connect_infra.report.collection import collected


def coverage(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    drift: Annotated[
        Path | None, typer.Option(help="The report of a drift run (connect-infra drift --json).")
    ] = None,
) -> None:
    """List every documented statement: provisioned, asserted, drift verdict, errata, drills, load.

    What is not covered stands first. Exit code 0 when all is covered, 1 when not.

    Example: connect-infra coverage --drift build/drift.json
    """
    native = report.Evidence(
        provisioned=provisioned(),
        looking=collected("-m", "not intrusive"),
        everything=collected(),
        drift=None if drift is None else report.drift_verdicts(drift),
        drills=drills_by_control(),
        load=load_by_control(),
    )
    # Only native hosts are provisioned, and only their controls are drifted.
    containers = replace(native, provisioned=None, drift=None)
    documents = (document.load(), native), (document.load("containers"), containers)
    rows = report.rows(documents)
    if json:
        typer.echo(report.to_json(rows), nl=False)
    else:
        report.show(rows, Console(soft_wrap=True, highlight=False))
    raise typer.Exit(0 if all(row.covered for row in rows) else 1)
