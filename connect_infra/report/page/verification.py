"""A verification as the page shows it: each result beside its control, errata and waiver.

Pure functions of a run and the document; nothing here knows HTML.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connect_infra.document import Control, Document, Erratum
from connect_infra.report import messages
from connect_infra.report.messages import WaiverNote
from connect_infra.report.page.parts import Part
from connect_infra.report.page.words import grouped, listed, plural
from connect_infra.report.results import WORST_FIRST, Result, Run, Status

UNKNOWN = "not in the documents"
"""Stands for the component of a control that this version's documents don't have."""


@dataclass(frozen=True)
class Row:
    """One control of a run; `control` is None where this version's documents don't have it."""

    result: Result
    control: Control | None
    errata: tuple[Erratum, ...]

    @property
    def id(self) -> str:
        """The control's id."""
        return self.result.id

    @property
    def status(self) -> Status:
        """The result's status."""
        return self.result.status

    @property
    def component(self) -> str:
        """The component's name."""
        return self.control.component if self.control else UNKNOWN

    @property
    def documented(self) -> str:
        """What the document says, verbatim; without a control, what was expected."""
        return self.control.documented if self.control else self.result.expected

    @property
    def expected_here(self) -> str | None:
        """What this target must show, where that is not what the document says."""
        expected = self.result.expected
        return None if expected == self.documented else expected

    @property
    def waiver(self) -> WaiverNote | None:
        """Who answers for the control, if it is waived."""
        return messages.waiver_in(self.result.message) if self.status == "waived" else None

    @property
    def words(self) -> str:
        """What the spec said beyond expected, found, erratum and waiver."""
        result = self.result
        waived = result.status == "waived"
        return messages.own_words(
            result.message, result.expected, result.found, self.errata, waived
        )


@dataclass(frozen=True)
class Component:
    """The controls of one component, in the document's order."""

    name: str
    rows: tuple[Row, ...]

    @property
    def section(self) -> str:
        """Where the document speaks of it."""
        control = self.rows[0].control
        return f"{control.document} {control.section}" if control else ""

    @property
    def counts(self) -> Mapping[Status, int]:
        """How many controls have each status, the worst status first, zeros included."""
        return count(self.rows)

    @property
    def seconds(self) -> float:
        """The time that its specs took."""
        return sum(row.result.seconds for row in self.rows)

    @property
    def wrong(self) -> bool:
        """Whether something in it failed or could not be observed."""
        return any(row.status in {"fail", "error"} for row in self.rows)


@dataclass(frozen=True)
class Trouble:
    """Controls that are wrong in the same way: a server that is down is one trouble."""

    rows: tuple[Row, ...]

    @property
    def status(self) -> Status:
        """Fail or error."""
        return self.rows[0].status

    @property
    def result(self) -> Result:
        """The first of its results, for what they have in common."""
        return self.rows[0].result

    @property
    def words(self) -> str:
        """What the specs said."""
        return self.rows[0].words

    @property
    def errata(self) -> tuple[Erratum, ...]:
        """The errata of its controls, each once."""
        return tuple({one.id: one for row in self.rows for one in row.errata}.values())


def rows(run: Run, document: Document) -> tuple[Row, ...]:
    """Return the run's results in the document's order, those it doesn't have at the end."""
    place = {name: number for number, name in enumerate(document.controls)}
    ordered = sorted(run.controls, key=lambda result: place.get(result.id, len(place)))
    return tuple(
        Row(result, document.controls.get(result.id), document.errata_in_force([result.id]))
        for result in ordered
    )


def count(rows: Iterable[Row]) -> Mapping[Status, int]:
    """How many rows have each status, the worst status first, zeros included."""
    counted = Counter(row.status for row in rows)
    return {status: counted[status] for status in WORST_FIRST}


def components(rows: Iterable[Row]) -> tuple[Component, ...]:
    """Group rows by component, in the order in which they come."""
    by_name = grouped(rows, lambda row: row.component)
    return tuple(Component(name, tuple(same)) for name, same in by_name.items())


def troubles(rows: Sequence[Row]) -> tuple[Trouble, ...]:
    """Return what failed, then what could not be observed; what is wrong in one way as one."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for status in ("fail", "error"):
        for row in rows:
            if row.status == status:
                own = (row.result.message,) if status == "fail" else ()
                groups.setdefault((status, row.words, *own), []).append(row)
    return tuple(Trouble(tuple(same)) for same in groups.values())


def errata(rows: Iterable[Row]) -> tuple[tuple[Erratum, tuple[Row, ...]], ...]:
    """Return the errata in force, each with the run's controls that it names."""
    named: dict[str, tuple[Erratum, list[Row]]] = {}
    for row in rows:
        for erratum in row.errata:
            named.setdefault(erratum.id, (erratum, []))[1].append(row)
    return tuple((erratum, tuple(own)) for _, (erratum, own) in sorted(named.items()))


def slowest(rows: Iterable[Row], number: int) -> Sequence[Row]:
    """Return the rows whose specs took longest, the slowest first."""
    return sorted(rows, key=lambda row: -row.result.seconds)[:number]


def part(run: Run) -> Part:
    """Return what the verification comes to."""
    counts = run.counts
    wrong = _said(counts, {"fail": "fail", "error": "could not be observed"})
    rest = _said(
        counts,
        {"pass": "pass", "waived": "waived", "not_applicable": "not applicable to this host"},
    )
    detail = f"Of {plural(len(run.controls), 'control')}, "
    detail += "; ".join(listed(some) for some in (wrong, rest) if some) + "."
    if not run.asserted:
        return Part("verification", "verification", "bad", "Nothing was asserted", detail)
    if not run.ok:
        headline = f"{run.target} is not as documented"
        return Part("verification", "verification", "bad", headline, detail)
    but = f", but for {plural(counts['waived'], 'waived control')}" if counts["waived"] else ""
    headline = f"{run.target} is as documented{but}"
    return Part("verification", "verification", "good", headline, detail)


def _said(counts: Mapping[Status, int], words: Mapping[Status, str]) -> list[str]:
    return [f"{counts[status]:,} {said}" for status, said in words.items() if counts[status]]
