"""How a target is: its health check, and the diagnoses of document A, 8.1, of either topology."""

import json
from dataclasses import dataclass
from pathlib import Path

from connect_infra.document import Topology
from connect_infra.errors import OperationError
from connect_infra.operations.remote import SCRIPTS
from connect_infra.transport import Connection

SOURCE = Path(__file__).with_name("host_diagnosis.py")

LIMIT = 240.0
"""Seconds for all checks, each of which has its own 30."""


@dataclass(frozen=True)
class Check:
    """One check of the host's health, and what it found."""

    section: str
    name: str
    ok: bool
    found: str


@dataclass(frozen=True)
class Section:
    """One part of the diagnosis: what was seen, what to do about it, why nothing was seen."""

    title: str
    rows: tuple[tuple[str, ...], ...]
    hint: str
    problem: str = ""


def health(connection: Connection) -> list[Check]:
    """Every check of health-check.sh; OperationError when it can't be run."""
    done = connection.run(f"{SCRIPTS}/health-check.sh --json", timeout=LIMIT)
    try:
        checks = json.loads(done.stdout)["checks"]
        return [Check(one["section"], one["check"], one["ok"], one["found"]) for one in checks]
    except (ValueError, KeyError, TypeError):
        raise OperationError(
            expected="the results of health-check.sh",
            found=(done.stderr or done.stdout).strip()[:200] or f"exit code {done.code}",
            where=connection.name,
            remedy="bring the host's scripts up to date: connect-infra apply",
        ) from None


def diagnose(connection: Connection, topology: Topology = "native") -> list[Section]:
    """Look around on the host; changes nothing, and shows no password."""
    source = SOURCE.read_text(encoding="utf-8")
    found = connection.python(source, topology, sudo=True, timeout=LIMIT)
    return [
        Section(title, tuple(map(tuple, one["rows"])), one["hint"], one.get("problem", ""))
        for title, one in found.items()
    ]
