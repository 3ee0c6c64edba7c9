"""Reads result files of any kind; what a file is, its content says, not its name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from connect_infra.document import first_problem
from connect_infra.errors import ObservationError
from connect_infra.report.results import Run

Report = Run

KINDS: Mapping[str, tuple[frozenset[str], TypeAdapter[Report]]] = {
    "a verification": (frozenset({"topology", "controls"}), TypeAdapter(Run)),
}
"""What each kind of results is called, the keys that tell it from the others, and its type."""


def load(path: Path) -> Report:
    """Read one file of results. Raises ObservationError if it is none or is damaged."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise _refused(path, "results as JSON", str(problem)) from problem
    return recognised(data, path)


def recognised(data: Any, path: Path) -> Report:
    """Return the results that `data` of a file holds. Raises ObservationError if it is none."""
    keys = data.keys() if isinstance(data, dict) else set()
    for name, (own, adapter) in KINDS.items():
        if own <= keys:
            try:
                return adapter.validate_python(data)
            except ValidationError as error:
                field, expected, found = first_problem(error)
                where = f"{path} ({name}), {field or 'the whole file'}"
                raise _refused(where, expected, found) from error
    found = f"the keys {', '.join(map(str, keys))}" if keys else "none of their keys"
    raise _refused(path, f"results of {' or '.join(KINDS)}", found[:200])


def _refused(where: Path | str, expected: str, found: str) -> ObservationError:
    return ObservationError(
        expected=expected,
        found=found,
        where=str(where),
        remedy="name a file that connect-infra wrote with --json",
    )
