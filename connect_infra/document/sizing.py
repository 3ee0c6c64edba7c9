"""Memory sizes for hosts that are smaller than the documented one.

Document A states its sizes for 128 GB. A scaled target gets the same share of its own memory, so
that a lab of 8 GiB runs the documented proportions and results can say which sizing was proven.
"""

import re
from typing import Literal

from connect_infra.document.values import GIB, KIB, MIB, parse

Sizing = Literal["documented", "scaled"]

DOCUMENTED_MEMORY = 128 * GIB
"""What the documented sizes are shares of (document A, 1.1: 128GB)."""


def scale(text: str, memory_bytes: int, floor: str | None = None) -> str:
    """Return `text` x `memory_bytes` / 128 GiB, at least `floor`, in the spelling of `text`.

    Rounded down to whole megabytes; below one megabyte to whole kilobytes. Raises ValueError if
    `text` or `floor` is not a size.
    """
    documented = _bytes(text)
    least = _bytes(floor) if floor is not None else 0
    share = max(documented * memory_bytes // DOCUMENTED_MEMORY, least)
    if share == documented:
        return text
    if share >= MIB:
        return f"{share // MIB}{_unit(text, 'M')}"
    return f"{share // KIB}{_unit(text, 'k')}"


def _bytes(text: str) -> int:
    size = parse("memory", text)
    assert isinstance(size, int)
    return size


def _unit(text: str, prefix: str) -> str:
    """Spell the unit as the documented text does: `MB` (PostgreSQL), `mb` (Redis), `M` (PM2)."""
    unit = re.sub(r"[^A-Za-z]", "", text)
    suffix = unit[1:]
    if unit and unit[0].islower():
        return prefix.lower() + suffix
    return (prefix.upper() if not suffix else prefix) + suffix
