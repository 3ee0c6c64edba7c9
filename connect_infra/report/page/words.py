"""Numbers, times and lists as a person reads them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

_Item = TypeVar("_Item")


def listed(names: Iterable[str]) -> str:
    """Join words as a sentence does: a, b and c."""
    words = list(names)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def plural(number: int, word: str) -> str:
    """Return a count with its noun: 1 control, 2 controls."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def moment(iso: str) -> str:
    """Write an instant for a person, in UTC; text that is none is left as it is."""
    try:
        when = datetime.fromisoformat(iso).astimezone(UTC)
    except ValueError:
        return iso
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def duration(seconds: float) -> str:
    """Write a length of time in the unit that fits it.

    >>> duration(0.0042), duration(0.25), duration(61.5), duration(605)
    ('4.2 ms', '250 ms', '61.5 s', '10 min 5 s')
    """
    if seconds == 0:
        return "0 s"
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def number(value: float) -> str:
    """Write a number with three digits at least, and no more than it needs.

    >>> number(0.01234), number(13.888), number(50000)
    ('0.0123', '13.9', '50,000')
    """
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def with_unit(value: float, unit: str) -> str:
    """Write a measured value: seconds as a duration, others with their unit."""
    if unit == "s":
        return duration(value)
    return f"{number(value)} {unit}".strip()


def grouped(
    items: Iterable[_Item], name_of: Callable[[_Item], str]
) -> Mapping[str, Sequence[_Item]]:
    """Put items under their names, in the order in which the names first come."""
    found: dict[str, list[_Item]] = {}
    for item in items:
        found.setdefault(name_of(item), []).append(item)
    return found
