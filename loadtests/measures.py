"""What can be measured in a run, by name: the vocabulary of objectives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Unit = Literal["", "s", "1/s", "%"]


@dataclass(frozen=True)
class Measure:
    """What a number is, and in which unit."""

    meaning: str
    unit: Unit = ""


MEASURES: Mapping[str, Measure] = {
    "error_rate": Measure("requests that failed, of all that were sent", "%"),
    "rate": Measure("requests answered a second, after the warm-up", "1/s"),
    "p50": Measure("median latency from the intended start", "s"),
    "p95": Measure("95th percentile of the latency from the intended start", "s"),
    "p99": Measure("99th percentile of the latency from the intended start", "s"),
    "p999": Measure("99.9th percentile of the latency from the intended start", "s"),
    "established": Measure("most TLS connections established at once, counted on the server"),
    "limited": Measure("requests that got 429 from a limit, of all that were sent", "%"),
    "nginx_files": Measure("most files open in an nginx worker, of its limit", "%"),
    "memory": Measure("most memory in use on the server, of what it has", "%"),
    "pgbouncer_clients": Measure("most client connections of PgBouncer"),
    "pgbouncer_servers": Measure("most connections of PgBouncer to PostgreSQL"),
    "oom_kills": Measure("processes that the server's kernel ended for want of memory"),
    "restarts": Measure("services and application processes that restarted during the run"),
    "scrapes": Measure("scrapes that the queue took on"),
    "evictions": Measure("keys that the cache evicted during the run"),
    "queue_left": Measure("jobs still queued when the time to drain was over"),
    "jobs_failed": Measure("jobs that failed during the run"),
    "knee": Measure("highest rate at which every step's objective held", "1/s"),
}
