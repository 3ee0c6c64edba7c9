"""Documented and observed texts as values, so that the same value in another unit is equal.

The documents say `24GB` and `15min`; servers answer `25769803776` and `900s`. Both sides of a
comparison pass through `parse`, and nothing else decides what is equal.
"""

import posixpath
import re
import shlex
from collections.abc import Callable
from decimal import Decimal
from typing import Literal, TypeAlias

ValueType = Literal[
    "text",  # compared as it stands, blanks included
    "quoted",  # a text that may stand in one pair of quotes
    "words",  # blank-separated, order matters; quotes hold a word together
    "set",  # blank-separated, order and repetition don't matter
    "number",
    "switch",  # on/off in any of the services' spellings
    "memory",  # a size, in bytes
    "duration",  # a length of time, in milliseconds
    "path",
    "secret",  # never compared as text: set, the target's, and not the documents' placeholder
]
Value: TypeAlias = str | tuple[str, ...] | frozenset[str] | Decimal | bool | int

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

MEMORY_UNITS = {"": 1, "b": 1, "k": KIB, "m": MIB, "g": GIB, "t": TIB}
"""Every service of the documents counts in powers of 1024; `kB`, `KiB` and `k` are one unit."""

_SECOND = 1000
_DAY = 86_400 * _SECOND
DURATION_UNITS = {
    "us": Decimal("0.001"),
    "ms": Decimal(1),
    "s": Decimal(_SECOND),
    "sec": Decimal(_SECOND),
    "min": Decimal(60 * _SECOND),
    "m": Decimal(60 * _SECOND),
    "h": Decimal(3600 * _SECOND),
    "d": Decimal(_DAY),
    "w": Decimal(7 * _DAY),
    "y": Decimal(365 * _DAY),
}
"""Milliseconds a unit, as PostgreSQL, nginx, systemd and Prometheus agree on them."""

SWITCHES = {
    **dict.fromkeys(("on", "yes", "true", "1"), True),
    **dict.fromkeys(("off", "no", "false", "0"), False),
}

_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
_MEMORY = re.compile(r"([0-9]{1,30}(?:\.[0-9]{1,30})?)\s*([A-Za-z]*)")
_MEMORY_UNIT = re.compile(r"([kmgt]?)(?:i?b)?")
_DURATION = re.compile(r"([0-9]{1,30}(?:\.[0-9]{1,30})?)\s*([a-z]+)\s*")


def parse(kind: ValueType, text: str, unit: str = "") -> Value:
    """Turn `text` into a value of type `kind`; `unit` is what a bare duration counts in.

    Raises ValueError, whose message says what was expected and what was found.
    """
    if kind == "duration":
        return _duration(text, unit)
    return _PARSERS[kind](text)


def _text(text: str) -> str:
    return text


def _quoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as problem:
        raise ValueError(f"expected words, found {text!r} ({problem})") from problem


def _set(text: str) -> frozenset[str]:
    return frozenset(_words(text))


def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text.strip(" \n")):
        raise ValueError(f"expected a number, found {text!r}")
    return Decimal(text.strip(" \n"))


def _switch(text: str) -> bool:
    try:
        return SWITCHES[text.strip().lower()]
    except KeyError:
        raise ValueError(f"expected on or off, found {text!r}") from None


def _memory(text: str) -> int:
    match = _MEMORY.fullmatch(text.strip())
    unit = _MEMORY_UNIT.fullmatch(match[2].lower()) if match else None
    if match is None or unit is None or not match[1].isascii():
        raise ValueError(f"expected a size such as 64MB, found {text!r}")
    return _whole(Decimal(match[1]) * MEMORY_UNITS[unit[1]], "bytes", text)


def _duration(text: str, unit: str) -> int:
    bare = text.strip()
    if _NUMBER.fullmatch(bare) and (unit or Decimal(bare) == 0):
        return _whole(Decimal(bare) * DURATION_UNITS[unit or "s"], "milliseconds", text)
    total, end = Decimal(0), 0
    for part in _DURATION.finditer(bare):
        if part.start() != end or part[2] not in DURATION_UNITS:
            break
        total, end = total + Decimal(part[1]) * DURATION_UNITS[part[2]], part.end()
    if not bare or end != len(bare):
        raise ValueError(f"expected a length of time such as 15min, found {text!r}")
    return _whole(total, "milliseconds", text)


def _whole(number: Decimal, what: str, text: str) -> int:
    if number != number.to_integral_value():
        raise ValueError(f"expected a whole number of {what}, found {text!r}")
    return int(number)


def _path(text: str) -> str:
    if not text.strip():
        raise ValueError("expected a path, found nothing")
    return posixpath.normpath(text.strip())


_PARSERS: dict[ValueType, Callable[[str], Value]] = {
    "text": _text,
    "quoted": _quoted,
    "words": _words,
    "set": _set,
    "number": _number,
    "switch": _switch,
    "memory": _memory,
    "path": _path,
    "secret": _text,
}
