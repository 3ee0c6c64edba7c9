"""Reads result files of any kind; what a file is, its content says, not its name.

Each kind has models here of what the page shows of it: whoever writes a file (chaos, loadtests)
knows nothing of the page, and a file may be of another version. A test holds the two together.
"""

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from connect_infra.document import first_problem
from connect_infra.errors import ObservationError
from connect_infra.report.page.coverage import CoverageRun
from connect_infra.report.page.drift import DriftRun
from connect_infra.report.page.drills import DrillRun
from connect_infra.report.page.load import LoadRun
from connect_infra.report.results import Run

Report: TypeAlias = Run | DriftRun | CoverageRun | LoadRun | DrillRun

KIND_NAMES: Mapping[type[Report], str] = {
    Run: "verification",
    DriftRun: "drift run",
    CoverageRun: "coverage",
    LoadRun: "load run",
    DrillRun: "drill run",
}

KEYS: Mapping[type[Report], frozenset[str]] = {
    Run: frozenset({"topology", "controls"}),
    DriftRun: frozenset({"controls"}),
    CoverageRun: frozenset({"counts", "rows"}),
    LoadRun: frozenset({"profile", "windows"}),
    DrillRun: frozenset({"drills"}),
}
"""The keys that tell each kind of results from those after it."""

JOURNAL = frozenset({"drill", "events"})
"""The keys of one drill's journal."""


def load(path: Path) -> Report:
    """Read one file of results. Raises ObservationError if it is none or is damaged."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise _refused(path, "results as JSON", str(problem)) from problem
    return recognised(data, path)


def recognised(data: Any, path: Path) -> Report:
    """Return the results that `data` of a file holds. Raises ObservationError if it is none."""
    if isinstance(data, dict) and data.keys() >= JOURNAL:
        data = {"drills": [data]}
    keys = data.keys() if isinstance(data, dict) else set()
    for kind, own in KEYS.items():
        if own <= keys:
            try:
                return TypeAdapter(kind).validate_python(data)
            except ValidationError as error:
                field, expected, found = first_problem(error)
                where = f"{path}, a {KIND_NAMES[kind]}, {field or 'as a whole'}"
                raise _refused(where, expected, found) from error
    found = f"the keys {', '.join(map(str, keys))}" if keys else "none of their keys"
    raise _refused(path, f"the results of a {' or a '.join(KIND_NAMES.values())}", found)


def _refused(where: Path | str, expected: str, found: str) -> ObservationError:
    found = textwrap.shorten(found, 200, placeholder=" …")
    return ObservationError(
        expected=expected,
        found=found,
        where=str(where),
        remedy="name a file that connect-infra wrote with --json",
    )
