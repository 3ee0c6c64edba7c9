"""From what a run's processes wrote to what it shows: pure functions of the rows."""

from collections.abc import Mapping, Sequence

from hdrh.histogram import HdrHistogram

from loadtests import arrivals
from loadtests.exchange import CUT_OFF, OWN_FAULT
from loadtests.plan import KEEP_ALIVE
from loadtests.profile import Profile
from loadtests.recorder import Cell, Merged, Row
from loadtests.result import (
    ActionResult,
    ErrorResult,
    GeneratorResult,
    Latency,
    Window,
)


def latency_of(found: HdrHistogram) -> Latency:
    """The percentiles of a histogram, in seconds; None for all of an empty one."""
    count = int(found.get_total_count())
    names = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p999": 99.9, "p9999": 99.99}
    values = found.get_percentile_to_value_dict(list(names.values())) if count else {}
    return Latency(
        count=count,
        mean=round(found.get_mean_value() / 1e6, 6) if count else None,
        most=found.get_max_value() / 1e6 if count else None,
        **{name: values[q] / 1e6 if count else None for name, q in names.items()},
    )


def percentile(found: HdrHistogram, quantile: float) -> float | None:
    """One percentile in seconds; None for an empty histogram."""
    return found.get_value_at_percentile(quantile) / 1e6 if found.get_total_count() else None


def actions(merged: Merged, profile: Profile) -> tuple[ActionResult, ...]:
    """Each action of the mix, after the warm-up."""
    weights = sum(profile.mix.values())
    requests = sum(cell.requests for cell in merged.actions.values())
    found = []
    for name, weight in profile.mix.items():
        cell = merged.actions.get(name, Cell())
        found.append(
            ActionResult(
                name=name,
                planned_share=weight / weights,
                share=cell.requests / requests if requests else 0.0,
                requests=cell.requests,
                errors=cell.errors.total(),
                latency=latency_of(cell.latency),
            )
        )
    return tuple(found)


def failures(merged: Merged) -> tuple[ErrorResult, ...]:
    """Each kind of failure in the whole run, the most frequent first."""
    first: dict[str, float] = {}
    for window, cell in sorted(merged.windows.items()):
        for kind in cell.errors:
            first.setdefault(kind, window * merged.window_seconds)
    counted = merged.total().errors.most_common()
    return tuple(ErrorResult(kind=kind, count=n, first_at=first[kind]) for kind, n in counted)


def windows(merged: Merged, states: Sequence[Row]) -> tuple[Window, ...]:
    """The time series, one entry a window, windows without any request included."""
    last = max(merged.windows, default=-1)
    found = []
    for number in range(last + 1):
        cell = merged.windows.get(number, Cell())
        start = number * merged.window_seconds
        end = start + merged.window_seconds
        found.append(
            Window(
                at=start,
                seconds=merged.window_seconds,
                requests=cell.requests,
                errors=cell.errors.total(),
                rate=cell.latency.get_total_count() / merged.window_seconds,
                p50=percentile(cell.latency, 50),
                p95=percentile(cell.latency, 95),
                p99=percentile(cell.latency, 99),
                most=percentile(cell.latency, 100),
                users=_at(states, end, "users"),
                connections=_at(states, end, "open"),
            )
        )
    return tuple(found)


def _at(states: Sequence[Row], moment: float, field: str) -> int | None:
    """The sum over all processes of a field, as each said it last before a moment."""
    last = {row.get("worker", ""): row[field] for row in states if row["at"] <= moment}
    return sum(last.values()) if last else None


def by_process(rows: Sequence[Row]) -> Mapping[str, list[Row]]:
    """The states that each process told of itself."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["kind"] == "state":
            found.setdefault(row.get("worker", ""), []).append(row)
    return found


def generator(
    rows: Sequence[Row], merged: Merged, profile: Profile, *, until: float
) -> GeneratorResult:
    """What made the load; the generator's own delays count up to `until`."""
    states = by_process(rows)
    last = [one[-1] for one in states.values()]
    use = [_cores(one) for one in states.values()]
    late = merged.lateness(until)
    return GeneratorResult(
        processes=len(states),
        users=sum(row["users"] for row in last),
        requests_planned=arrivals.planned(profile.arrivals),
        requests_sent=sum(row["ended"] for row in last) - merged.total().errors[CUT_OFF],
        requests_by_process=dict(merged.by_worker),
        connections_expected=arrivals.connections(profile.users, profile.arrivals, KEEP_ALIVE),
        connections_opened=sum(row["opened"] for row in last),
        connections_most=sum(row["most_open"] for row in last),
        closed_by_server=sum(row["closed_by_server"] for row in last),
        cpu_cores=_sum([mean for mean, _ in use]),
        cpu_cores_most=_sum([most for _, most in use]),
        memory_bytes=sum(row["memory_bytes"] for row in last) if last else None,
        late_p99=percentile(late, 99),
        late_most=percentile(late, 100),
    )


def _sum(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return round(sum(known), 3) if known and len(known) == len(values) else None


def _cores(states: Sequence[Row]) -> tuple[float | None, float | None]:
    """Mean and highest use of processors of one process while it made load."""
    points = [(row["at"], row["cpu_seconds"]) for row in states if row["at"] >= 0]
    if len(points) < 2:
        return None, None
    spans = [
        (points[i + 5][1] - points[i][1]) / (points[i + 5][0] - points[i][0])
        for i in range(len(points) - 5)
    ]
    mean = (points[-1][1] - points[0][1]) / (points[-1][0] - points[0][0])
    return mean, max(spans, default=mean)


def incomplete(rows: Sequence[Row], merged: Merged, processes: int) -> list[str]:
    """Why the rows are not all there is; each is a reason for an invalid run."""
    ends = {row.get("worker", ""): row["requests"] for row in rows if row["kind"] == "end"}
    reasons = [kind for kind in merged.total().errors if kind.startswith(OWN_FAULT)]
    if len(by_process(rows)) < processes:
        reasons.append(f"{len(by_process(rows))} of {processes} generator processes reported")
    for worker in by_process(rows):
        who = f"generator {worker}" if worker else "the generator"
        if worker not in ends:
            reasons.append(f"{who} ended before its users had")
        elif ends[worker] != merged.by_worker[worker]:
            reasons.append(
                f"{who} made {ends[worker]} requests, of which {merged.by_worker[worker]} arrived"
            )
    return reasons
