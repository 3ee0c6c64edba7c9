"""`connect-infra controls`: every documented control, and the specs that assert it."""

import json as json_format
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connect_infra import document
from connect_infra.document import Expectation, Topology
from connect_infra.report.collection import collected
from connect_infra.targets import load_inventory


def controls(
    json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    target: Annotated[
        str | None, typer.Option(help="Show what this target must show (else: as documented).")
    ] = None,
    inventory: Annotated[Path | None, typer.Option(help="The inventory file.")] = None,
) -> None:
    """List every documented statement, and the specs that assert it.

    With --target the controls of that target's topology, else those of both.

    Example: connect-infra controls --target lab --json
    """
    rows = [
        _row(expectation, topology, specs)
        for specs in [collected()]
        for topology, expectations in _expectations(target, inventory).items()
        for expectation in expectations.values()
    ]
    if json:
        typer.echo(json_format.dumps(rows, indent=2, ensure_ascii=False))
        return
    for topology in dict.fromkeys(row["topology"] for row in rows):
        Console().print(_table(row for row in rows if row["topology"] == topology))


def _table(rows: Iterable[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("control", "section", "expected", "erratum", "specs"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        shown = [row["id"], row["section"], row["expected"], row["erratum"] or ""]
        table.add_row(*(escape(text) for text in shown), str(len(row["specs"])))
    return table


def _expectations(
    target: str | None, inventory: Path | None
) -> Mapping[Topology, Mapping[str, Expectation]]:
    if target is None:
        return {
            topology: document.load(topology).on("documented", None, lab=False)
            for topology in get_args(Topology)
        }
    chosen = load_inventory(inventory).target(target)
    return {chosen.topology: chosen.expectations(document.load(chosen.topology))}


def _row(
    expectation: Expectation, topology: Topology, specs: Mapping[str, list[str]]
) -> dict[str, Any]:
    control = expectation.control
    return {
        "id": control.id,
        "topology": topology,
        "document": control.document,
        "section": control.section,
        "documented": control.documented,
        "expected": expectation.expected,
        "component": control.component,
        "erratum": control.erratum,
        "specs": specs.get(control.id, []),
    }
