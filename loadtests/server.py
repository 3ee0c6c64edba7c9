"""What the load does to the server: looked at all the time, over the one connection to it."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

from connect_infra.errors import ConnectInfraError
from connect_infra.facts.units import POSTGRESQL
from connect_infra.transport import Connection
from loadtests.result import Resource, ServerSample

EVERY = 5.0
"""Seconds between two looks."""

UNITS = (
    "nginx.service",
    "connect.service",
    "pgbouncer.service",
    POSTGRESQL,
    "redis-cache.service",
    "redis-queue.service",
)
"""Services that must not restart under load."""

POOL = 60
"""Connections that PgBouncer may have to PostgreSQL: default_pool_size and reserve_pool_size."""

CLIENTS = 500
"""max_client_conn of PgBouncer (A 3.2)."""

Raw = Mapping[str, Any]


def look(connection: Connection) -> Raw:
    """One sample of the host, as root, in one round trip."""
    source = resources.files("loadtests").joinpath("host_side.py").read_text(encoding="utf-8")
    raw: Raw = connection.python(source, {"units": UNITS}, sudo=True, timeout=30)
    return raw


class Watch:
    """Looks at the host in a thread of its own, until it is told to stop."""

    def __init__(self, connection: Connection, keep: Callable[[float, Raw], None]) -> None:
        """`keep` gets each sample with the moment (epoch) at which it was taken."""
        self._connection = connection
        self._keep = keep
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.problem = ""

    def start(self) -> None:
        """Look at once, so that a host that can't be looked at stops the run before its load."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """End, with a last look."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=60)
        self._attempt()

    def _watch(self) -> None:
        while not self._stop.wait(EVERY):
            self._attempt()

    def _attempt(self) -> None:
        try:
            self._look()
        except ConnectInfraError as problem:
            self.problem = str(problem)

    def _look(self) -> None:
        at = time.time()
        self._keep(at, look(self._connection))


def samples(raws: Sequence[tuple[float, Raw]]) -> tuple[ServerSample, ...]:
    """Samples as the report shows them, rates from each to the next; `at` as it was given."""
    found = []
    before: Raw | None = None
    for at, raw in raws:
        found.append(_sample(at, raw, before))
        before = raw
    return tuple(found)


def _sample(at: float, raw: Raw, before: Raw | None) -> ServerSample:
    cpu: dict[str, float] = {}
    busy = None
    if before is not None and raw["clock"] > before["clock"]:
        ticks = raw["ticks"] * (raw["clock"] - before["clock"])
        busy = round((raw["busy"] - before["busy"]) / ticks, 3)
        for name, used in sorted(raw["cpu"].items()):
            cpu[name] = round(max(0, used - before["cpu"].get(name, 0)) / ticks, 3)
    workers = raw["nginx_workers"]
    return ServerSample(
        at=round(at, 1),
        established=raw["established"]["443"],
        pgbouncer_clients=raw["established"]["6432"],
        pgbouncer_servers=raw["pgbouncer_servers"],
        nginx_files=max((one["open"] / one["limit"] for one in workers), default=0.0),
        memory=raw["memory"]["used"] / raw["memory"]["total"],
        cpu_cores=busy,
        cpu_by=cpu,
    )


def restarts(raws: Sequence[tuple[float, Raw]]) -> int:
    """Services and processes of the application that were replaced between first and last look."""
    first, last = raws[0][1], raws[-1][1]
    services: int = sum(first["units"][name] != last["units"].get(name) for name in first["units"])
    return services + len(set(first["node"]) - set(last["node"]))


def oom_kills(raws: Sequence[tuple[float, Raw]]) -> int:
    """Processes that the kernel ended for want of memory between first and last look."""
    return int(raws[-1][1]["oom_kills"] - raws[0][1]["oom_kills"])


def resources_used(
    taken: Sequence[ServerSample], cores: int, connections: int
) -> tuple[Resource, ...]:
    """How far each resource was used at most, the closest to its end first.

    `connections` is what nginx has place for: worker_connections of all workers (A 3.5).
    """
    busiest = max(taken, key=lambda one: one.cpu_cores or 0.0)
    by = ", ".join(
        f"{name} {used:.2f}"
        for name, used in sorted(busiest.cpu_by.items(), key=lambda one: -one[1])
        if used >= 0.05
    )
    established = max(one.established for one in taken)
    clients = max(one.pgbouncer_clients for one in taken)
    servers = max(one.pgbouncer_servers for one in taken)
    found = [
        Resource(
            name="processors",
            used=round((busiest.cpu_cores or 0.0) / cores, 3),
            detail=f"{busiest.cpu_cores or 0:.2f} of {cores} busy; on the server: {by or 'idle'}",
        ),
        _counted("connections of nginx", established, connections),
        Resource(
            name="files of an nginx worker",
            used=round(max(one.nginx_files for one in taken), 3),
            detail="of its limit",
        ),
        _counted("clients of PgBouncer", clients, CLIENTS),
        _counted("PgBouncer's pool", servers, POOL),
        Resource(
            name="memory", used=round(max(one.memory for one in taken), 3), detail="of the host's"
        ),
    ]
    return tuple(sorted(found, key=lambda one: -one.used))


def _counted(name: str, most: int, limit: int) -> Resource:
    """A resource of which there are so many."""
    return Resource(name=name, used=round(most / limit, 3), detail=f"{most} of {limit}")
