"""A result's message: written by the plugin for one line, taken apart by the page.

Both sides stand here, so that the page shows a part where it belongs (found in the column of
found, the waiver with the waivers) and not twice.
"""

import re
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from connect_infra.document import Erratum

_WAIVER = re.compile(
    r" \(waived by (?P<owner>.+?) until (?P<expires>\d{4}-\d\d-\d\d): (?P<reason>.*)\)\Z", re.DOTALL
)

_ADVICE = re.compile(r" (?=\[E\d{2,3}: )")


class WaiverNote(NamedTuple):
    """Who answers for a failed control, until the end of which day, and why."""

    owner: str
    expires: date
    reason: str


def difference(expected: str, found: str | None) -> str:
    """Return the part that says what was expected and what was found."""
    return f"expected {expected!r}, found {found!r}"


def advice(errata: Iterable[Erratum]) -> str:
    """Return the part that names the errata of the control, and what to do about them."""
    return "".join(f" [{one.id}: {one.title}. {one.instead}]" for one in errata)


def split_advice(message: str) -> tuple[str, tuple[str, ...]]:
    """Return a message without its advice, and that, an erratum each; the last has what follows."""
    words, *advices = _ADVICE.split(message)
    return words, tuple(advices)


def waived(note: WaiverNote) -> str:
    """Return the part that says who waived the control."""
    return f" (waived by {note.owner} until {note.expires.isoformat()}: {note.reason})"


def waiver_in(message: str) -> WaiverNote | None:
    """Return the waiver that `waived` wrote at the end of a message, None if there is none."""
    found = _WAIVER.search(message)
    if found is None:
        return None
    try:
        expires = date.fromisoformat(found["expires"])
    except ValueError:
        return None
    return WaiverNote(found["owner"], expires, found["reason"])


def own_words(
    message: str, expected: str, found: str | None, errata: Iterable[Erratum], waived_too: bool
) -> str:
    """Return what is left of a message without its difference, advice and waiver."""
    note = waiver_in(message) if waived_too else None
    if note is not None:
        message = message.removesuffix(waived(note))
    message = message.removesuffix(advice(errata))
    message = message.removesuffix(difference(expected, found))
    return message.removesuffix(": ")
