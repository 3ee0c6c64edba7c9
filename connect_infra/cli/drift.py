"""`connect-infra drift`: break every control on live lab hosts and see its own spec turn red."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from connect_infra import document
from connect_infra.cli.common import refuse_unwritable
from connect_infra.document import Topology
from connect_infra.drift import ways
from connect_infra.drift.run import run
from connect_infra.drift.verdicts import Report
from connect_infra.drift.ways import Drifts
from connect_infra.errors import DocumentError, GuardError
from connect_infra.lab import Lab
from connect_infra.targets.lab import NAME
from provisioning.snapshot import provisioned

TOPOLOGIES: Mapping[str, Topology] = {NAME: "native", "lab-containers": "containers"}
"""The targets whose hosts are made to be broken."""


def drift(
    target: Annotated[str, typer.Option(help="lab, or lab-containers.")] = NAME,
    component: Annotated[str | None, typer.Option(help="One documented component only.")] = None,
    control: Annotated[str | None, typer.Option(help="One control only.")] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Only so many drifts, drawn at random.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Draw the sample of an earlier run.")] = None,
    hosts: Annotated[int, typer.Option(min=1, max=8, help="Lab hosts at once.")] = 4,
    json: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
) -> None:
    """Break controls on disposable lab hosts, see their specs turn red, undo, and prove that.

    Exit code 0 when every drift was noticed and no harmless change was, 1 when not, 2 when it
    could not be tried.

    Example: connect-infra drift --target lab --component redis-cache --json drift.json
    """
    if target not in TOPOLOGIES:
        raise GuardError(
            expected=f"the target {' or '.join(TOPOLOGIES)}, whose hosts may be broken",
            found=repr(target),
            where="drift",
            remedy=f"run: connect-infra drift --target {NAME}",
        )
    topology = TOPOLOGIES[target]
    refuse_unwritable(json)
    console = Console(stderr=True, highlight=False, soft_wrap=True)

    def progress(message: str) -> None:
        console.print(f"drift: {escape(message)}")

    chosen = chosen_drifts(component, control, topology)
    if sample is not None:
        seed = random.SystemRandom().randrange(10**6) if seed is None else seed
        chosen = chosen.sample(sample, seed)
        progress(f"a sample of {len(chosen.drifts)} drifts, seed {seed}")
    lab = Lab(progress)
    snapshot = provisioned(lab, progress, topology)
    report = run(
        lab, snapshot, chosen, hosts=hosts, progress=progress, seed=seed, topology=topology
    )
    if json is not None:
        json.write_text(report.to_json(), encoding="utf-8")
    show(report, Console(highlight=False, soft_wrap=True))
    raise typer.Exit(0 if report.ok else 1)


def chosen_drifts(
    component: str | None, control: str | None, topology: Topology = "native"
) -> Drifts:
    """The drifts of one component or control, or all; DocumentError if there is none."""
    known = document.load(topology)
    names = set(known.controls)
    if component is not None:
        names &= {one.id for one in known.component(component)}
    if control is not None:
        names &= {control}
    chosen = ways.load(topology).of(names)
    if not chosen.drifts and not chosen.impossible:
        raise DocumentError(
            expected="a control that the lab asserts",
            found=repr(control or component),
            where="drift",
            remedy="see `connect-infra controls` for the ids",
        )
    return chosen


def show(report: Report, console: Console) -> None:
    """Print what a person needs: what is wrong, what is impossible, then the figures."""
    colours = {"survived": "red", "void": "magenta", "alarm": "red", "impossible": "cyan"}
    for record in report.records:
        if record.verdict in colours:
            label = f"[{colours[record.verdict]}]{record.verdict.upper():10}[/]"
            name = f"[bold]{escape(record.id)}[/], {escape(record.drift)}"
            console.print(f"{label} {name}: {escape(record.message)}")
    for spec in report.never_red:
        console.print(f"[yellow]never red[/]  {escape(spec)}")
    controls = list(report.controls.values())
    specs = sum(len(of_control) for of_control in report.specs.values())
    red = len({spec for record in report.records for spec in record.specs})
    console.print(
        f"drifts     {', '.join(f'{number} {name}' for name, number in report.counts.items())}\n"
        f"controls   {controls.count('killed')} of {len(controls)} killed, "
        f"{controls.count('impossible')} impossible\n"
        f"specs      {red} of {specs} seen red, {len(report.never_red)} never\n"
        f"took       {report.seconds:.0f} s on {report.hosts} hosts, {report.replaced} replaced"
    )
