"""`connect-infra verify`: run the specs against a target and say what became of each control."""

import tempfile
from pathlib import Path
from typing import Annotated

import pytest
import typer

from connect_infra.cli.common import refuse_unwritable
from connect_infra.report import results
from connect_infra.report.collection import PROJECT
from connect_infra.report.plugin import IN_PROCESS, NOTHING_ASSERTED, SPECS, UNUSABLE


def verify(
    target: Annotated[str, typer.Option(help="The target's name in the inventory.")] = "lab",
    inventory: Annotated[Path | None, typer.Option(help="The inventory file.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the results as JSON.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML.")] = None,
    component: Annotated[str | None, typer.Option(help="One documented component only.")] = None,
    intrusive: Annotated[
        bool, typer.Option("--intrusive", help="Also disturb the target, where it allows that.")
    ] = False,
    workers: Annotated[int, typer.Option("-n", min=0, help="Processes that share the work.")] = 0,
) -> None:
    """Hold a target against the documents.

    It changes nothing there, unless told --intrusive. Exit code 0 when every control that applies
    passes, 1 when one does not, 2 when the target can't be used.

    Example: connect-infra verify --target staging --json results.json
    """
    for path in (json, junit):
        refuse_unwritable(path)
    with tempfile.TemporaryDirectory(prefix="connect-infra-") as private:
        written = Path(private) / "results.json"
        options = {"--target": target, "--inventory": inventory, "--component": component}
        arguments = [str(PROJECT / SPECS), "-qq", "--no-header", "--tb=no", f"--results={written}"]
        arguments += IN_PROCESS
        arguments += [f"{name}={value}" for name, value in options.items() if value is not None]
        arguments += ["--intrusive"] if intrusive else []
        arguments += ["-n", str(workers)] if workers else []
        code = int(pytest.main(arguments))
        if not written.exists():
            raise typer.Exit(UNUSABLE if code != NOTHING_ASSERTED else code)
        run = results.load(written)
    if json is not None:
        json.write_text(run.to_json(), encoding="utf-8")
    if junit is not None:
        junit.write_bytes(results.to_junit(run))
    raise typer.Exit(code if code in {0, NOTHING_ASSERTED, UNUSABLE} else NOTHING_ASSERTED)
