"""A load run as the page shows it: objectives, what the users felt, what the server was doing.

Reads the document that `connect-infra load run` keeps; fields that the page doesn't show are left
alone. Seconds count from the start of the load; latencies are in seconds.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hdrh.histogram import HdrHistogram
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict

from connect_infra.report import svg
from connect_infra.report.parts import Part, Verdict
from connect_infra.report.svg import Series
from connect_infra.report.words import duration, plural, with_unit

RunVerdict = Literal["met", "missed", "invalid"]

PERCENTILES = (0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99)
"""Where the percentile chart has its points."""

LONG = 120
"""Seconds from which a run is shown in minutes."""

BUSIEST = 5
"""Users of the processor that have a line of their own."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True)


class Latency(_Data):
    """Percentiles of the good answers; None where there were none."""

    p50: float | None
    p95: float | None
    p99: float | None


class Objective(_Data):
    """One objective and what was measured."""

    measure: str
    meaning: str
    unit: str
    sense: str
    limit: float
    found: float | None
    verdict: RunVerdict
    source: str


class Action(_Data):
    """One thing that users do; shares are of 1."""

    name: str
    planned_share: float
    share: float
    requests: int
    errors: int
    latency: Latency


class Failure(_Data):
    """One kind of failed request, and when it was first due."""

    kind: str
    count: int
    first_at: float | None


class Window(_Data):
    """A part of the run."""

    at: float
    rate: float
    errors: int
    p50: float | None
    p95: float | None
    p99: float | None
    users: int | None
    connections: int | None


class Step(_Data):
    """One step of the profile; `broken` is empty when nothing broke."""

    rate: float
    seconds: float
    answered_rate: float
    errors: int
    p95: float | None
    p99: float | None
    broken: str
    limited_by: str


class Knee(_Data):
    """The highest rate that held."""

    rate: float
    broken_at: float | None
    broken: str
    limited_by: str


class Generator(_Data):
    """What made the load."""

    processes: int
    requests_planned: float
    requests_sent: int
    connections_opened: int
    connections_most: int
    cpu_cores: float | None
    memory_bytes: int | None
    late_p99: float | None


class Sample(_Data):
    """One look at the server; shares are of 1."""

    at: float
    established: int
    pgbouncer_clients: int
    pgbouncer_servers: int
    nginx_files: float
    memory: float
    cpu_cores: float | None
    cpu_by: Mapping[str, float]


class Resource(_Data):
    """How far something on the server was used at most, of 1."""

    name: str
    used: float
    detail: str


class Kept(_Data):
    """A series that the server's own Prometheus kept."""

    name: str
    meaning: str
    unit: str
    points: tuple[tuple[float, float], ...]


class Server(_Data):
    """What the server was doing."""

    cores: int | None
    samples: tuple[Sample, ...]
    series: tuple[Kept, ...]
    resources: tuple[Resource, ...]
    missing: tuple[str, ...]


class Change(_Data):
    """A measure beside the baseline's; `change` is a share of it."""

    measure: str
    before: float | None
    after: float | None
    change: float | None
    regression: bool
    why: str


class Comparison(_Data):
    """This run beside an earlier one."""

    baseline: str
    rule: str
    changes: tuple[Change, ...]
    regression: bool


class Profile(_Data):
    """What was asked for."""

    name: str
    description: str
    users: int


class LoadRun(_Data):
    """One run of one profile against one target."""

    target: str
    sizing: str
    started: str
    seconds: float
    complete: bool
    profile: Profile
    sources: int
    verdict: RunVerdict
    reasons: tuple[str, ...]
    objectives: tuple[Objective, ...]
    latency: Latency
    requests: int
    errors: int
    actions: tuple[Action, ...]
    failures: tuple[Failure, ...]
    windows: tuple[Window, ...]
    steps: tuple[Step, ...]
    knee: Knee | None
    generator: Generator
    server: Server
    histogram: str
    comparison: Comparison | None


_Line: TypeAlias = tuple[str, Iterable[tuple[float, float | None]]]


@dataclass(frozen=True)
class Chart:
    """A plot, its title and the names of its lines."""

    title: str
    lines: tuple[str, ...]
    plot: Markup


def part(run: LoadRun, anchor: str) -> Part:
    """Return what the run comes to."""
    verdicts: Mapping[RunVerdict, Verdict] = {"met": "good", "missed": "bad", "invalid": "unknown"}
    missed = sum(1 for one in run.objectives if one.verdict == "missed")
    headline = {
        "met": "Every objective was met",
        "missed": f"{missed:,} of {plural(len(run.objectives), 'objective')} missed",
        "invalid": "The run says nothing",
    }[run.verdict]
    verdict = verdicts[run.verdict]
    if verdict == "good" and run.comparison is not None and run.comparison.regression:
        verdict, headline = "bad", f"It is slower than {run.comparison.baseline}"
    latency = [
        f"{name} {duration(value)}"
        for name, value in (("p95", run.latency.p95), ("p99", run.latency.p99))
        if value is not None
    ]
    detail = (
        f"{plural(run.requests, 'request')} of {plural(run.profile.users, 'user')} in "
        f"{duration(run.seconds)}, {run.errors:,} failed{''.join(f', {one}' for one in latency)}."
    )
    return Part(anchor, f"load ({run.profile.name})", verdict, headline, detail)


def charts(run: LoadRun) -> tuple[Chart, ...]:
    """Return the plots of a run; what has no points has none."""
    found = [*_of_users(run), *_of_server(run.server)]
    return tuple(chart for chart in found if chart is not None)


def _of_users(run: LoadRun) -> Iterator[Chart | None]:
    windows = run.windows
    yield _over_time("Answers a second", "1/s", [("answers", ((w.at, w.rate) for w in windows))])
    latencies = [
        ("p50", ((w.at, w.p50) for w in windows)),
        ("p95", ((w.at, w.p95) for w in windows)),
        ("p99", ((w.at, w.p99) for w in windows)),
    ]
    yield _over_time("Latency from the intended start", "s", latencies)
    yield _percentiles(run.histogram)
    people = [
        ("users", ((w.at, w.users) for w in windows)),
        ("connections", ((w.at, w.connections) for w in windows)),
    ]
    yield _over_time("Users and their connections", "", people)
    if any(window.errors for window in windows):
        yield _over_time("Failed requests", "", [("failed", ((w.at, w.errors) for w in windows))])


def _of_server(server: Server) -> Iterator[Chart | None]:
    samples = server.samples
    busiest = sorted(
        {name for one in samples for name in one.cpu_by},
        key=lambda name: -sum(one.cpu_by.get(name, 0.0) for one in samples),
    )
    cores: list[_Line] = [("all", ((one.at, one.cpu_cores) for one in samples))]
    cores += [(name, _used_by(samples, name)) for name in busiest[:BUSIEST]]
    of = f", of {server.cores}" if server.cores else ""
    yield _over_time(f"Processors in use on the server{of}", "", cores)
    shares = [
        ("memory", ((one.at, one.memory * 100) for one in samples)),
        ("open files of nginx", ((one.at, one.nginx_files * 100) for one in samples)),
    ]
    yield _over_time("Memory and files on the server", "%", shares)
    connections = [("from users", ((one.at, float(one.established)) for one in samples))]
    yield _over_time("TLS connections, counted on the server", "", connections)
    pools = [
        ("clients", ((one.at, float(one.pgbouncer_clients)) for one in samples)),
        ("to PostgreSQL", ((one.at, float(one.pgbouncer_servers)) for one in samples)),
    ]
    yield _over_time("Connections of PgBouncer", "", pools)
    for kept in server.series:
        yield _over_time(kept.meaning, kept.unit, [(kept.name, kept.points)])


def _used_by(samples: Sequence[Sample], name: str) -> Iterator[tuple[float, float | None]]:
    return ((one.at, one.cpu_by.get(name, 0.0)) for one in samples)


def _over_time(title: str, unit: str, lines: Iterable[_Line]) -> Chart | None:
    """Draw lines over time; None where no value was observed."""
    drawn = []
    for name, points in lines:
        seen = [(at, value) for at, value in points if value is not None]
        if seen:
            drawn.append(Series(name, seen))
    if not drawn:
        return None
    if max(series.points[-1][0] for series in drawn) > LONG:
        drawn = [Series(name, [(at / 60, value) for at, value in each]) for name, each in drawn]
        plot = svg.line_chart(drawn, title, _in("min"), _in(unit))
    else:
        plot = svg.line_chart(drawn, title, lambda at: f"{at:g} s", _in(unit))
    return Chart(title, tuple(series.name for series in drawn), plot)


def _percentiles(histogram: str) -> Chart | None:
    """Draw the whole distribution; None where there was no good answer."""
    if not histogram:
        return None
    counted = HdrHistogram.decode(histogram)
    if not counted.get_total_count():
        return None
    points = [(at, counted.get_value_at_percentile(at) / 1e6) for at in PERCENTILES]
    title = "Latency by percentile"
    return Chart(
        title, ("latency",), svg.percentile_chart([Series("latency", points)], title, duration)
    )


def _in(unit: str) -> Callable[[float], str]:
    return lambda value: with_unit(value, unit)
