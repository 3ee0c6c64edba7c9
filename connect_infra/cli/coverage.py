"""`connect-infra coverage`: every row of the documents, and what stands behind it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from connect_infra import document
from connect_infra.cli.proofs import drills_by_control, load_by_control
from connect_infra.cli.provisioned import provisioned
from connect_infra.document import Topology
from connect_infra.report import coverage as report
from connect_infra.report.collection import collected


def coverage(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    drift: Annotated[
        list[Path] | None,
        typer.Option(help="A report of connect-infra drift --json; one of each topology."),
    ] = None,
) -> None:
    """List every documented statement: provisioned, asserted, drift verdict, errata, drills, load.

    What is not covered stands first. Exit code 0 when all is covered, 1 when not.

    Example: connect-infra coverage --drift build/drift.json
    """
    verdicts: dict[str, str] = {}
    for path in drift or ():
        verdicts |= report.drift_verdicts(path)
    native = report.Evidence(
        provisioned=provisioned(),
        looking=collected("-m", "not intrusive"),
        everything=collected(),
        drift=_of(verdicts, "native"),
        drills=drills_by_control(),
        load=load_by_control(),
    )
    # What provisioning puts on a Docker host is not traced to its controls.
    containers = replace(native, provisioned=None, drift=_of(verdicts, "containers"))
    documents = (document.load(), native), (document.load("containers"), containers)
    rows = report.rows(documents)
    if json:
        typer.echo(report.to_json(rows), nl=False)
    else:
        report.show(rows, Console(soft_wrap=True, highlight=False))
    raise typer.Exit(0 if all(row.covered for row in rows) else 1)


def _of(verdicts: Mapping[str, str], topology: Topology) -> Mapping[str, str] | None:
    """The verdicts of one topology's controls; None where no report is of it."""
    known = document.load(topology).controls
    return {name: verdict for name, verdict in verdicts.items() if name in known} or None
