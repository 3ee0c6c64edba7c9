"""What the server's own Prometheus has kept of a run, asked on its loopback port."""

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from connect_infra.errors import ObservationError
from connect_infra.transport import Connection
from loadtests.result import Series

PORT = 9090

SCRAPE = 15
"""Seconds between two looks of Prometheus (A 5.1); the steps of the series."""

LIMIT = 20.0
"""Seconds that one answer may take."""


@dataclass(frozen=True)
class Query:
    """One series: what it means, its unit, and PromQL that gives a single one."""

    meaning: str
    unit: str
    promql: str


QUERIES: Mapping[str, Query] = {
    "cpu": Query(
        "processors that are busy",
        "%",
        '100 * (1 - avg(rate(node_cpu_seconds_total{mode="idle"}[1m])))',
    ),
    "load": Query("load average of a minute", "", "node_load1"),
    "memory_available": Query(
        "memory that is available", "bytes", "node_memory_MemAvailable_bytes"
    ),
    "nginx_connections": Query("connections of clients", "", "nginx_connections_active"),
    "nginx_requests": Query("requests to nginx", "1/s", "rate(nginx_http_requests_total[1m])"),
    "app_requests": Query(
        "requests to the application", "1/s", "sum(rate(http_requests_total[1m]))"
    ),
    "app_errors": Query(
        "answers with a status of 500 and above",
        "1/s",
        'sum(rate(http_requests_total{status=~"5.."}[1m])) or vector(0)',
    ),
    "app_p95": Query(
        "95th percentile as the application sees it",
        "s",
        "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[1m])))",
    ),
    "postgresql_connections": Query(
        "connections to the database", "", 'sum(pg_stat_database_numbackends{datname="connect"})'
    ),
    "postgresql_commits": Query(
        "transactions", "1/s", 'sum(rate(pg_stat_database_xact_commit{datname="connect"}[1m]))'
    ),
    "cache_hits": Query(
        "requests to the cache that found something",
        "%",
        '100 * rate(redis_keyspace_hits_total{job="redis-exporter"}[1m]) / '
        '(rate(redis_keyspace_hits_total{job="redis-exporter"}[1m]) + '
        'rate(redis_keyspace_misses_total{job="redis-exporter"}[1m]))',
    ),
    "cache_memory": Query(
        "memory of the cache", "bytes", 'redis_memory_used_bytes{job="redis-exporter"}'
    ),
    "evictions": Query("keys evicted so far", "", 'redis_evicted_keys_total{job="redis-exporter"}'),
}
"""What the report shows beside the load; what a server does not have is named as missing."""


class Prometheus:
    """One Prometheus, over a connection to its host."""

    def __init__(self, line: socket.socket) -> None:
        """Speak over a connected socket."""
        self._client = http.client.HTTPConnection("localhost")
        self._client.sock = line

    def series(self, name: str, start: float, end: float) -> Series:
        """A query's values between two moments of the epoch, by seconds after the first.

        A share of nothing (no request to the cache) has no points. ObservationError when
        Prometheus refuses, or does not know the series.
        """
        query = QUERIES[name]
        parameters = {"query": query.promql, "start": start, "end": end, "step": SCRAPE}
        found = self._ask("query_range", parameters)
        points = [
            (round(float(at) - start, 1), float(value))
            for row in found[:1]
            for at, value in row["values"]
            if value not in {"NaN", "+Inf", "-Inf"}
        ]
        if not found:
            raise _unusable("values", "none", f"Prometheus, {name}")
        return Series(
            name=name,
            meaning=query.meaning,
            unit=query.unit,
            query=query.promql,
            points=tuple(points),
        )

    def now(self, promql: str) -> float:
        """The value of a query now; ObservationError when there is none."""
        found = self._ask("query", {"query": promql})
        if len(found) != 1:
            raise _unusable("one value", str(len(found)), f"Prometheus, {promql}")
        return float(found[0]["value"][1])

    def _ask(self, what: str, parameters: Mapping[str, object]) -> list[Any]:
        try:
            self._client.request("GET", f"/api/v1/{what}?{urlencode(parameters)}")
            answer = json.loads(self._client.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as problem:
            raise _unusable(
                "an answer", str(problem) or type(problem).__name__, "Prometheus"
            ) from problem
        if answer.get("status") != "success":
            raise _unusable("a result", str(answer.get("error")), "Prometheus")
        result: list[Any] = answer["data"]["result"]
        return result


@contextmanager
def prometheus(connection: Connection) -> Iterator[Prometheus]:
    """The Prometheus of a host, for the length of the block."""
    with (
        connection.stream(PORT) as path,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line,
    ):
        line.settimeout(LIMIT)
        try:
            line.connect(str(path))
        except OSError as problem:
            raise _unusable("a connection", str(problem), "Prometheus") from problem
        yield Prometheus(line)


def _unusable(expected: str, found: str, where: str) -> ObservationError:
    return ObservationError(
        expected=expected,
        found=found,
        where=where,
        remedy="see that Prometheus and its exporters run on the target",
    )
