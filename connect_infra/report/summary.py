"""A run's results on the console, for a person.

Apart from the results, because rich takes its time to be imported: xdist's workers print nothing.
"""

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connect_infra.report import messages
from connect_infra.report.results import WORST_FIRST, Run, Status

_COLOURS: Mapping[Status, str] = {
    "pass": "green",
    "fail": "red",
    "error": "magenta",
    "waived": "yellow",
    "not_applicable": "cyan",
}


def summarise(run: Run, errata: Iterable[str], console: Console) -> None:
    """Print what a person needs: what is wrong first, then the counts and what they rest on."""
    for status in (*WORST_FIRST[:3], WORST_FIRST[-1]):
        _list(run, status, console)
    counts = "   ".join(
        f"[{_COLOURS[status]}]{number} {status.replace('_', ' ')}[/]"
        for status, number in run.counts.items()
        if number or status in {"pass", "fail", "error"}
    )
    table = Table.grid(padding=(0, 2))
    table.add_row("controls", counts)
    table.add_row("target", escape(f"{run.target} ({run.topology}, sizing {run.sizing})"))
    table.add_row("errata in force", ", ".join(errata) or "none")
    table.add_row("took", f"{run.seconds:.1f} s, {run.round_trips} round trips")
    console.print(table)
    if not run.asserted:
        console.print("[red]Nothing was asserted: that is a failure, not a success.[/]")


def _list(run: Run, status: Status, console: Console) -> None:
    """Group by what was said: twenty controls of a server that is down are one line.

    Advice, which differs from control to control, stands below.
    """
    said: dict[str, tuple[list[str], dict[str, None]]] = {}
    for result in run.controls:
        if result.status == status:
            words, errata = messages.split_advice(result.message)
            ids, advices = said.setdefault(words, ([], {}))
            ids.append(result.id)
            advices |= dict.fromkeys(errata)
    label = "n/a" if status == "not_applicable" else status.upper()
    for words, (ids, advices) in said.items():
        names = escape(", ".join(ids))
        line = f"[{_COLOURS[status]}]{label:7}[/] [bold]{names}[/]  {escape(words)}"
        console.print(line, soft_wrap=True)
        for advice in advices:
            console.print(f"        [dim]{escape(advice)}[/]", soft_wrap=True)
