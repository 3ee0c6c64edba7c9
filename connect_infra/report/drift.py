"""A drift run as the page shows it: what was broken on live hosts, and which specs noticed.

Reads what `connect-infra drift --json` writes; fields that the page doesn't show are left alone.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from connect_infra.report.parts import Part
from connect_infra.report.words import listed, plural

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


class DriftRun(BaseModel):
    """One run of drifts. `harmless` changes must raise no alarm; `seed` is a sample's."""

    model_config = ConfigDict(frozen=True)

    controls: tuple[Drifted, ...]
    harmless: tuple[Drifted, ...] = ()
    specs_never_red: tuple[str, ...] = ()
    target: str = "lab"
    started: str = ""
    seconds: float | None = None
    hosts: int | None = None
    seed: int | None = None

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


def groups(run: DriftRun, component_of: Mapping[str, str]) -> Mapping[str, Sequence[Drifted]]:
    """Group the drifts by component, those of unknown controls under what their ids begin with."""
    found: dict[str, list[Drifted]] = {}
    for each in run.drifts:
        component = component_of.get(each.id) or each.id.partition(".")[0]
        found.setdefault(component, []).append(each)
    return found


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
    if not killed:
        return Part("drift", "drift", "bad", "No drift was noticed", detail)
    if bad:
        return Part("drift", "drift", "bad", f"Of the changes, {listed(bad)}", detail)
    return Part("drift", "drift", "good", "Every drift was noticed", detail)
