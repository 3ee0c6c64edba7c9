"""What became of each drift, decided from what was seen: pure functions and their records."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from connect_infra.drift.ways import Drift, Kind
from connect_infra.report.results import Result

Verdict = Literal["killed", "survived", "void", "impossible", "quiet", "alarm"]
"""killed: the control's own spec went red and showed the drifted value. survived: it did not.
void: the host did not have the drift. impossible: no drift can break the control, for a reason in
the data. quiet and alarm: what the specs made of a harmless change."""

RED = frozenset({"fail", "error"})

IMPOSSIBLE_AT_MOST = 0.03
"""The share of asserted controls that may be impossible (issue: at most 3 %)."""

_ADVICE = re.compile(r" \[E\d{2,3}: .*", re.DOTALL)


@dataclass(frozen=True)
class Seen:
    """What one spec said of one control while something had drifted."""

    spec: str
    result: Result

    @property
    def red(self) -> bool:
        """Whether it failed or could not observe."""
        return self.result.status in RED

    @property
    def evidence(self) -> str:
        """What it found, in its own words: without what it expected and without advice."""
        said = _ADVICE.sub("", self.result.message)
        return said.replace(f"expected {self.result.expected!r}, ", "")


@dataclass(frozen=True)
class Record:
    """One drift and its verdict. `found`: the drifted value as the spec showed it.

    `specs`: those of the control that noticed. `kind`: see ways.Kind; empty for an impossible one.
    """

    id: str
    drift: str
    kind: Kind | Literal[""]
    verdict: Verdict
    found: str
    message: str
    specs: tuple[str, ...] = ()


def judge(drift: Drift, landed: str, seen: Iterable[Seen]) -> Record:
    """Decide on one drift. `landed`: empty, or why the host does not have the drift."""
    own = [one for one in seen if one.result.id == drift.control]
    kind = drift.way.kind
    if landed:
        return Record(drift.control, drift.name, kind, "void", "", landed)
    if not own:
        return Record(drift.control, drift.name, kind, "void", "", "no spec of it was run")
    red = [one for one in own if one.red]
    if kind == "harmless":
        message = red[0].result.message if red else ""
        verdict: Verdict = "alarm" if red else "quiet"
        return Record(drift.control, drift.name, kind, verdict, drift.value, message, _names(red))
    showing = [one for one in red if shows(one.evidence, drift.shows)]
    # Who could not look has not noticed anything, unless it says what it met.
    noticed = _names(one for one in red if one in showing or one.result.status == "fail")
    if showing:
        message = showing[0].result.message
        return Record(drift.control, drift.name, kind, "killed", drift.shows, message, noticed)
    message = f"red, but not with {drift.shows!r}: {red[0].result.message}" if red else "green"
    return Record(drift.control, drift.name, kind, "survived", "", message, noticed)


def shows(text: str, value: str) -> bool:
    """Whether a text holds a value as a word of its own: 7 is not in 77."""
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def _names(seen: Iterable[Seen]) -> tuple[str, ...]:
    return tuple(one.spec for one in seen)


@dataclass(frozen=True)
class Report:
    """A whole run. `specs`: every spec of the controls that were tried, by control.

    `replaced`: hosts that had to be booted anew because a drift could not be undone. `seed`: of the
    sample, None for a whole run. `spared`: specs that need not turn red, with the reason.
    """

    target: str
    started: str
    seconds: float
    hosts: int
    replaced: int
    seed: int | None
    specs: Mapping[str, tuple[str, ...]]
    spared: Mapping[str, str]
    records: tuple[Record, ...]

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many records have each verdict, zeros included."""
        counted = Counter(record.verdict for record in self.records)
        return {verdict: counted[verdict] for verdict in get_args(Verdict)}

    @property
    def controls(self) -> Mapping[str, Verdict]:
        """The verdict of each control that was tried: its worst."""
        return {name: verdict_of(name, self.records) for name in self.specs}

    @property
    def never_red(self) -> tuple[str, ...]:
        """The specs that no drift has turned red, though one should have; none for a sample."""
        if self.seed is not None:
            return ()
        red = {spec for record in self.records for spec in record.specs}
        return tuple(
            spec
            for control, specs in self.specs.items()
            if self.controls[control] != "impossible"
            for spec in specs
            if spec not in red and function_of(spec) not in self.spared
        )

    @property
    def ok(self) -> bool:
        """Whether every drift was noticed, by every spec in its turn, and no harmless change."""
        verdicts = self.controls.values()
        impossible = sum(1 for verdict in verdicts if verdict == "impossible")
        few = impossible <= IMPOSSIBLE_AT_MOST * len(verdicts) or impossible == len(verdicts)
        bad = self.counts["survived"] + self.counts["void"] + self.counts["alarm"]
        return bool(verdicts) and few and not bad and not self.never_red

    def to_json(self) -> str:
        """Return the report as JSON; docs/drift.md explains the fields."""
        data = {
            "target": self.target,
            "started": self.started,
            "seconds": self.seconds,
            "hosts": self.hosts,
            "hosts_replaced": self.replaced,
            "seed": self.seed,
            "counts": dict(self.counts),
            "ok": self.ok,
            "controls": [asdict(one) for one in self.records if one.kind != "harmless"],
            "harmless": [asdict(one) for one in self.records if one.kind == "harmless"],
            "specs_never_red": list(self.never_red),
            "specs_spared": dict(self.spared),
        }
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


WORST_FIRST: tuple[Verdict, ...] = ("survived", "void", "killed", "impossible")


def function_of(spec: str) -> str:
    """The name of a spec's function: without its file and its parameters."""
    return spec.partition("::")[2].partition("[")[0]


def verdict_of(control: str, records: Collection[Record]) -> Verdict:
    """The worst verdict of a control's drifts; void where there is none."""
    own = {one.verdict for one in records if one.id == control and one.kind != "harmless"}
    return next((verdict for verdict in WORST_FIRST if verdict in own), "void")
