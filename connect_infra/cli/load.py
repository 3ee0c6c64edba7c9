"""`connect-infra load`: the documented load, made and judged, kept and compared."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connect_infra.cli.common import InventoryFile
from connect_infra.errors import LoadError
from connect_infra.targets import load_inventory
from loadtests.baseline import compare as compared
from loadtests.profile import load_profile, names
from loadtests.result import Comparison, LoadRun
from loadtests.store import Store

app = typer.Typer(help="The documented load: made, judged, kept, compared.", no_args_is_help=True)

EXIT_CODES = {"met": 0, "missed": 1, "invalid": 2}
REGRESSION = 1
COLOURS = {"met": "green", "missed": "red", "invalid": "magenta"}

LONGEST = 7 * 86400
"""Seconds of a run that was stretched: a week, for what only days show."""

LINE_EVERY = 10.0
"""Seconds between two lines of progress where there is no terminal."""


def _with_a_place(path: Path | None) -> Path | None:
    """Refuse a file that can't be written before the run, not after it."""
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise typer.BadParameter(f"no file can be written at {path}")
    return path


ResultsFile = Annotated[
    Path | None,
    typer.Option("--json", callback=_with_a_place, help="Write the results as JSON."),
]


@app.command("run")
def run(
    profile: Annotated[str, typer.Argument(help=f"One of {', '.join(names())}.")],
    target: Annotated[str, typer.Option(help="A target of the inventory that allows load.")],
    seconds: Annotated[
        float | None,
        typer.Option(min=5, max=LONGEST, help="Run for so long instead, at the same rate."),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Generator processes; 0: one alone.")] = 0,
    remote: Annotated[
        bool, typer.Option("--remote", help="The workers come from other machines: docs/load.md.")
    ] = False,
    json: ResultsFile = None,
    fail_on_regression: Annotated[
        bool, typer.Option("--fail-on-regression", help="Worse than the last good run is missed.")
    ] = False,
    inventory: InventoryFile = None,
) -> None:
    """Load a target and hold it against the profile's objectives.

    Exit code 0 when all are met, 1 when one is missed, 2 when the run says nothing (the generator
    could not keep up, the site was down, it was interrupted). Results are kept in .load, or in
    $CONNECT_INFRA_LOAD.

    Example: connect-infra load run documented --target staging

    Example: connect-infra load run smoke --target lab --seconds 60 --json smoke.json

    Example: connect-infra load run peak --target staging --workers 4 --remote
    """
    # Imported here because it takes longer than all other commands need.
    from loadtests.runner import run_load

    chosen = load_profile(profile)
    if seconds is not None:
        chosen = chosen.for_seconds(seconds)
    console = Console(stderr=True, highlight=False)
    with console.status("load") as status:
        shown = _Lines(console) if not console.is_terminal else None
        done = run_load(
            chosen,
            load_inventory(inventory).target(target),
            Store(),
            shown or (lambda text: status.update(text)),
            workers=workers,
            remote=remote,
        )
    if json is not None:
        json.write_text(done.to_json(), encoding="utf-8")
    _show(done)
    worse = done.comparison is not None and done.comparison.regression
    code = EXIT_CODES[done.verdict]
    raise typer.Exit(REGRESSION if worse and fail_on_regression and code == 0 else code)


@app.command("compare")
def compare(
    before: Annotated[str, typer.Argument(help="The baseline: a run's id or file.")],
    after: Annotated[str, typer.Argument(help="The run to judge: an id, a file, or `latest`.")],
    json: ResultsFile = None,
) -> None:
    """Say whether a run is worse than an earlier one. Exit code 1 when it is.

    Example: connect-infra load compare 20260401T010000Z-smoke-lab latest
    """
    store = Store()
    found = compared(store.load(before), store.load(after))
    if json is not None:
        json.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    _show_comparison(found)
    raise typer.Exit(REGRESSION if found.regression else 0)


@app.command("list")
def list_runs(
    as_json: Annotated[bool, typer.Option("--json", help="Print the runs as JSON.")] = False,
) -> None:
    """List the runs that were kept, the oldest first.

    Example: connect-infra load list
    """
    store = Store()
    if as_json:
        runs = [store.load(name) for name in store.ids()]
        print("[" + ",\n".join(one.to_json().strip() for one in runs) + "]")
        return
    for name in store.ids():
        try:
            print(_line(store.load(name)))
        except LoadError as problem:
            print(f"{name:45} can't be read: {problem.found}")
    if not store.ids():
        print("no run was kept")


def _line(run: LoadRun) -> str:
    p95 = f"{run.latency.p95 * 1000:.0f} ms" if run.latency.p95 is not None else "-"
    return f"{run.id:45} {run.verdict:8} {run.requests:8} requests  p95 {p95}"


class _Lines:
    """Progress for logs: a line now and then instead of one that changes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = 0.0

    def __call__(self, text: str) -> None:
        if time.monotonic() - self._last >= LINE_EVERY:
            self._last = time.monotonic()
            self._console.print(f"load: {text}", markup=False, soft_wrap=True)


def _show(run: LoadRun) -> None:
    console = Console(highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for heading in ("objective", "expected", "found", "verdict"):
        table.add_column(heading)
    for one in run.objectives:
        unit = f" {one.unit}" if one.unit else ""
        found = f"{_number(one.found)}{unit}" if one.found is not None else "not observed"
        verdict = f"[{COLOURS[one.verdict]}]{one.verdict}[/]"
        table.add_row(one.measure, f"{one.sense} {one.limit:g}{unit}", found, verdict)
    console.print(table)
    console.print(_summary(run), markup=False)
    if run.knee:
        console.print(f"knee: {run.knee.rate:g}/s; at {run.knee.broken_at:g}/s {run.knee.broken}")
        console.print(f"limited by {escape(run.knee.limited_by)}")
    for failure in run.failures:
        console.print(f"failed: {failure.count} x {failure.kind}", markup=False)
    for missing in run.server.missing:
        console.print(f"not read: {missing}", markup=False)
    if run.comparison:
        _show_comparison(run.comparison)
    for reason in run.reasons:
        console.print(f"{run.verdict}: {reason}", markup=False)
    console.print(f"[{COLOURS[run.verdict]}]{run.verdict}[/]  {run.id}")


def _number(value: float) -> str:
    """Four digits, and all of a count."""
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def _summary(run: LoadRun) -> str:
    made = run.generator
    memory = f"{made.memory_bytes / 1e6:.0f} MB" if made.memory_bytes else "-"
    cpu = f"{made.cpu_cores:.2f}" if made.cpu_cores is not None else "-"
    late = f"{made.late_p99 * 1000:.0f} ms" if made.late_p99 is not None else "-"
    return (
        f"{run.requests} requests in {run.seconds:.0f} s, {run.errors} failed; "
        f"{made.connections_opened} connections opened, {made.connections_most} at once; "
        f"generator: {cpu} cores, {memory}, late p99 {late}"
    )


def _show_comparison(found: Comparison) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"compared with {found.baseline}. {found.rule}", markup=False)
    for one in found.changes:
        values = " -> ".join("-" if v is None else f"{v:.4g}" for v in (one.before, one.after))
        p_value = f", p = {one.p_value:.3g}" if one.p_value is not None else ""
        colour = "red" if one.regression else "green"
        console.print(f"  [{colour}]{one.measure:10}[/] {values}{p_value}: {one.why}")
