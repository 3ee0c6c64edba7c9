"""A load run as plots: what its users felt, and what the server was doing."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from markupsafe import Markup

from connect_infra.report.page import svg
from connect_infra.report.page.load import LoadRun, Sample, Server, decoded
from connect_infra.report.page.svg import Series
from connect_infra.report.page.words import duration, with_unit

PERCENTILES = (0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99)
"""Where the percentile chart has its points."""

LONG = 120
"""Seconds from which a run is shown in minutes."""

BUSIEST = 5
"""Users of the processor that have a line of their own."""

_Line: TypeAlias = tuple[str, Iterable[tuple[float, float | None]]]


@dataclass(frozen=True)
class Chart:
    """A plot, its title and the names of its lines."""

    title: str
    lines: tuple[str, ...]
    plot: Markup


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
        title = kept.meaning[:1].upper() + kept.meaning[1:]
        yield _over_time(title, kept.unit, [(kept.name, kept.points)])


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
    counted = decoded(histogram)
    if counted is None:
        return None
    points = [(at, counted.get_value_at_percentile(at) / 1e6) for at in PERCENTILES]
    title = "Latency by percentile"
    return Chart(
        title, ("latency",), svg.percentile_chart([Series("latency", points)], title, duration)
    )


def _in(unit: str) -> Callable[[float], str]:
    return lambda value: with_unit(value, unit)
