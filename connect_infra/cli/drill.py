"""`connect-infra drill`: break a host on purpose, and measure what its recovery takes."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chaos import drills, guards
from chaos.drills import Drill
from chaos.journal import Journal
from chaos.objectives import EXIT_CODES, Verdict
from chaos.run import run as run_drill
from connect_infra.document import Topology
from connect_infra.errors import ConnectInfraError
from connect_infra.targets import Target, load_inventory
from connect_infra.targets.lab import state_dir

app = typer.Typer(help="Faults, and the recovery from them.", no_args_is_help=True)

WORST_FIRST: tuple[Verdict, ...] = ("not_restored", "missed", "unknown", "met")

COLOURS = {"met": "green", "missed": "red", "unknown": "magenta", "not_restored": "bold red"}

ALL = "all"

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_drills(
    topology: Annotated[
        Topology, typer.Option(help="Drills of native hosts or of Docker hosts.")
    ] = "native",
    as_json: AsJson = False,
) -> None:
    """List the drills of a topology with what each is measured against.

    Example: connect-infra drill list --json
    """
    known = drills.load(topology)
    if as_json:
        print(json.dumps({"drills": [_described(drill) for drill in known]}, indent=2))
        return
    for drill in known:
        print(f"{drill.name:42} {drill.title}")


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="A drill's name, or all.")],
    target: Annotated[str, typer.Option(help="The target's name in the inventory.")] = "lab",
    tag: Annotated[
        str | None, typer.Option(help="Of all drills those with this tag: short, long.")
    ] = None,
    production: Annotated[
        str, typer.Option(metavar="NAME", help="A production target's name, typed out.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
    inventory: Annotated[Path | None, typer.Option(help="The inventory file.")] = None,
) -> None:
    """Run drills against a target that allows them: lab hosts do, servers by their inventory.

    `all` is every drill of the target's topology but those tagged long. Exit code 0 when every
    objective is met, 1 when one is missed, 2 when that can't be said, 3 when a host is not as it
    was before. Journals are kept in the lab's directory, below drills/.

    Example: connect-infra drill run postgres-killed --target lab --json
    """
    chosen = load_inventory(inventory).target(target)
    wanted = _wanted(name, tag, chosen.topology)
    for drill in wanted:
        guards.require(chosen, drill, production)
    journals, verdicts = _run_all(chosen, wanted)
    if as_json:
        print(json.dumps({"drills": [_outcome(one) for one in journals]}, indent=2))
    raise typer.Exit(EXIT_CODES[next(one for one in WORST_FIRST if one in verdicts)])


def _run_all(target: Target, wanted: Sequence[Drill]) -> tuple[list[Journal], set[Verdict]]:
    """One after the other, until one can't begin or a person has had enough."""
    journals: list[Journal] = []
    verdicts: set[Verdict] = set()
    for drill in wanted:
        try:
            journals.append(_run(target, drill))
        except ConnectInfraError as problem:
            typer.secho(f"error: {problem}", fg="red", err=True)
            verdicts.add("unknown")
            break
        verdicts.add(journals[-1].verdict)
        if journals[-1].status == "interrupted":
            break
    return journals, verdicts


def _wanted(name: str, tag: str | None, topology: Topology) -> Sequence[Drill]:
    if name != ALL:
        return [drills.find(name)]
    found = [
        drill
        for drill in drills.load(topology)
        if (tag in drill.tags if tag else "long" not in drill.tags)
    ]
    if not found:
        raise drills.DrillError(
            expected="a tag that a drill has",
            found=repr(tag),
            where="--tag",
            remedy="see: connect-infra drill list --json",
        )
    return found


def _run(target: Target, drill: Drill) -> Journal:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"[bold]{drill.name}[/]  {drill.title}")
    home = guards.journals(state_dir(), target)
    journal = run_drill(target, drill, home, lambda text: console.print(text, markup=False))
    for one in journal.objectives:
        measured = "-" if one.measured is None else f"{one.measured:g} {one.unit}".strip()
        limit = f"at least {one.at_least:g}" if one.at_most is None else f"at most {one.at_most:g}"
        console.print(f"          {one.name:24} {measured:>10}  {limit}  {one.note}", markup=False)
    colour = COLOURS[journal.verdict]
    reasons = "; ".join(journal.reasons)
    console.print(f"[{colour}]{journal.verdict}[/]  {drill.name}  {journal.seconds:.0f} s")
    if reasons:
        console.print(reasons, markup=False)
    sys.stderr.flush()
    return journal


def _described(drill: Drill) -> dict[str, object]:
    return {
        "name": drill.name,
        "title": drill.title,
        "objective": [
            {
                "name": one.name,
                "at_least": one.at_least,
                "at_most": None if one.at_most == float("inf") else one.at_most,
                "source": one.source,
            }
            for one in drill.promised()
        ],
        "controls": list(drill.controls),
        "tags": list(drill.tags),
        "self_healing": drill.self_healing,
        "hold_seconds": drill.hold,
    }


def _outcome(journal: Journal) -> dict[str, object]:
    return journal.model_dump(mode="json", exclude={"streams": {"__all__": {"probes"}}})
