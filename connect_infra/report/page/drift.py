"""A drift run as the page shows it: what was broken on live hosts, and which specs noticed.

Reads what `connect-infra drift --json` writes; fields that the page doesn't show are left alone.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from connect_infra.report import messages
from connect_infra.report.page.parts import Part
from connect_infra.report.page.words import listed, plural

Verdict = Literal["survived", "alarm", "void", "killed", "impossible", "quiet"]
"""The worst first. alarm and quiet: what the specs made of a harmless change."""

BAD: tuple[Verdict, ...] = ("survived", "alarm", "void")


class Drifted(BaseModel):
    """One drift of one control and what became of it."""

    model_config = ConfigDict(frozen=True)

    id: str
    drift: str
    verdict: Verdict
    found: str | None = None
    message: str = ""

    @property
    def words(self) -> str:
        """The message without the advice that stands with the control's errata."""
        return messages.split_advice(self.message)[0]


class DriftRun(BaseModel):
    """One run of drifts. `harmless` changes must raise no alarm; `seed` is a sample's."""

    model_config = ConfigDict(frozen=True)

    controls: tuple[Drifted, ...]
    harmless: tuple[Drifted, ...] = ()
    specs_never_red: tuple[str, ...] = ()
    specs_spared: Mapping[str, str] = {}
    """Specs that need not turn red, and why."""
    target: str = "lab"
    started: str = ""
    seconds: float | None = None
    hosts: int | None = None
    seed: int | None = None
    ok: bool | None = None
    """What the run itself says; None where it does not."""

    @property
    def drifts(self) -> tuple[Drifted, ...]:
        """All of them, the harmless included."""
        return (*self.controls, *self.harmless)

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many drifts have each verdict, the worst first, zeros included."""
        counted = Counter(each.verdict for each in self.drifts)
        return {verdict: counted[verdict] for verdict in get_args(Verdict)}


def by_control(run: DriftRun) -> Mapping[str, Verdict]:
    """Return each control's worst verdict; harmless changes are no drift of it."""
    found: dict[str, list[Verdict]] = {}
    for each in run.controls:
        found.setdefault(each.id, []).append(each.verdict)
    return {name: min(own, key=get_args(Verdict).index) for name, own in found.items()}


def wrong(run: DriftRun) -> Sequence[Drifted]:
    """Return the drifts that nobody noticed, that gave a false alarm or did not land."""
    return [each for verdict in BAD for each in run.drifts if each.verdict == verdict]


def part(run: DriftRun) -> Part:
    """Return what the drifts come to."""
    counts = run.counts
    verdicts = by_control(run)
    killed = sum(1 for verdict in verdicts.values() if verdict == "killed")
    figures = [f"{number:,} {verdict}" for verdict, number in counts.items() if number]
    detail = (
        f"{killed:,} of {plural(len(verdicts), 'control')} turned red for what was broken; "
        f"of {plural(len(run.drifts), 'change')}, {listed(figures)}."
        if run.drifts
        else ""
    )
    said = {"survived": "went unnoticed", "alarm": "raised a false alarm", "void": "did not land"}
    bad = [f"{counts[verdict]:,} {said[verdict]}" for verdict in BAD if counts[verdict]]
    if run.specs_never_red:
        bad.append(f"{plural(len(run.specs_never_red), 'spec')} never turned red")
    if bad:
        return Part("drift", "drift", "bad", f"Drift: {listed(bad)}", detail)
    if not (killed if run.ok is None else run.ok):
        headline = "Too little could be broken" if killed else "No drift was noticed"
        return Part("drift", "drift", "bad", headline, detail)
    return Part("drift", "drift", "good", "Every drift was noticed", detail)
