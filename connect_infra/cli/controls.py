"""`connect-infra controls`: every documented control, and the specs that assert it."""

import json as json_format
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connect_infra import document
from connect_infra.document import Expectation
from connect_infra.report.collection import collected
from connect_infra.targets import load_inventory


def controls(
    json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    target: Annotated[
        str | None, typer.Option(help="Show what this target must show (else: as documented).")
    ] = None,
    inventory: Annotated[Path | None, typer.Option(help="The inventory file.")] = None,
) -> None:
    """List every control: what is documented, what is expected, and which specs assert it.

    Example: connect-infra controls --target lab --json
    """
    rows = [
        _row(expectation, specs)
        for specs in [collected()]
        for expectation in _expectations(target, inventory).values()
    ]
    if json:
        typer.echo(json_format.dumps(rows, indent=2, ensure_ascii=False))
        return
    table = Table("control", "section", "expected", "erratum", "specs", box=None)
    for row in rows:
        shown = [row["id"], row["section"], row["expected"], row["erratum"] or ""]
        table.add_row(*(escape(text) for text in shown), str(len(row["specs"])))
    Console().print(table)


def _expectations(target: str | None, inventory: Path | None) -> Mapping[str, Expectation]:
    known = document.load()
    if target is None:
        return known.on("documented", None, lab=False)
    chosen = load_inventory(inventory).target(target)
    return known.on(chosen.sizing, chosen.memory, chosen.lab, chosen.domain)


def _row(expectation: Expectation, specs: Mapping[str, list[str]]) -> dict[str, Any]:
    control = expectation.control
    return {
        "id": control.id,
        "document": control.document,
        "section": control.section,
        "documented": control.documented,
        "expected": expectation.expected,
        "component": control.component,
        "erratum": control.erratum,
        "specs": specs.get(control.id, []),
    }
