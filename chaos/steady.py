"""The steady state of a host: what must hold before a fault and again after it."""

import json
import time

from chaos.host import Host
from chaos.platforms import PLATFORMS
from connect_infra.errors import ConnectInfraError, ObservationError, TransportError
from connect_infra.web import Site

LEAST_FREE = 2 * 1024**3
"""Bytes that must be free on the host's disk for a drill to begin, or to go on."""

PAUSE = 0.5


class NotSteady(ConnectInfraError):
    """Raised when a host is not in its steady state, so that no drill may begin on it."""


def await_steady(host: Host, site: Site, patience: float) -> str:
    """The version that the site runs, once the host is steady; NotSteady after `patience` s."""
    until = time.monotonic() + patience
    while True:
        troubles, version = look(host, site)
        if not troubles:
            return version
        if time.monotonic() > until:
            raise NotSteady(
                expected="a host in its steady state",
                found="; ".join(troubles),
                where=host.name,
                remedy="mend that, or run connect-infra apply, then run the drill again",
            )
        time.sleep(PAUSE)


def look(host: Host, site: Site) -> tuple[list[str], str]:
    """What is not as it must be, and the version that the site runs."""
    try:
        return _services(host) + (found := _site(site))[0], found[1]
    except TransportError as problem:
        return [str(problem)], ""


def _services(host: Host) -> list[str]:
    platform = PLATFORMS[host.target.topology]
    lines = host.run(platform.look, *platform.parts).stdout.splitlines()
    if not lines or lines[-1] != "looked":
        return ["the host's services could not be looked at"]
    troubles = []
    for line in lines[:-1]:
        kind, _, rest = line.partition(" ")
        if kind in ("failed", "down", "alerts") and rest.strip():
            troubles.append(f"{kind}: {rest.strip()}")
        if kind == "free" and int(rest) < LEAST_FREE:
            troubles.append(f"{int(rest) / 2**30:.1f} GiB free on its disk")
        if kind == "archive" and rest != "f":
            troubles.append("WAL is not archived" if rest == "t" else f"PostgreSQL: {rest}")
    return troubles


def _site(site: Site) -> tuple[list[str], str]:
    try:
        answer = site.ask("/api/health", limit=5.0)
    except (OSError, ConnectInfraError) as problem:
        return [f"the site does not answer: {problem}"], ""
    try:
        health = json.loads(answer.body)
    except ValueError:
        return [f"/api/health answers {answer.status} and no JSON"], ""
    if answer.status != 200 or health.get("status") != "healthy":
        return [f"/api/health says {health.get('status')}: {health.get('checks')}"], ""
    return [], str(health["version"])


def least_free(host: Host) -> int:
    """Bytes free on the host's disk; ObservationError when that can't be seen."""
    found = host.answer("df --output=avail -B1 / | tail -1", timeout=10.0).strip()
    if not found.isdigit():
        raise ObservationError(
            expected="a number of free bytes", found=found, where=host.name, remedy="look at df"
        )
    return int(found)
