"""What each proof comes to, in the words of the head of the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from connect_infra.report.page.words import listed

Verdict = Literal["good", "bad", "unknown"]

WORD: dict[Verdict, str] = {"good": "holds", "bad": "does not hold", "unknown": "not known"}


@dataclass(frozen=True)
class Part:
    """One proof: where it stands on the page, its verdict, a headline and a sentence of figures."""

    anchor: str
    name: str
    verdict: Verdict
    headline: str
    detail: str

    @property
    def word(self) -> str:
        """The verdict as a word, for those who don't see the colour."""
        return WORD[self.verdict]


def overall(parts: Sequence[Part]) -> Verdict:
    """Return the worst verdict: one that is bad outweighs one that is not known."""
    found = {part.verdict for part in parts}
    return "bad" if "bad" in found else "unknown" if "unknown" in found else "good"


def headline(parts: Sequence[Part]) -> str:
    """Return the page's heading: the only part's own, else the parts that don't hold, or all."""
    if len(parts) == 1:
        return parts[0].headline
    verdict = overall(parts)
    names = listed(part.name for part in parts if part.verdict == verdict)
    said = {"good": "All holds", "bad": "Does not hold", "unknown": "Not known"}[verdict]
    return f"{said}: {names}"
