"""One flat record a control, and the outputs that are made of it: JSON and JUnit (and a summary).

Every output says the same, because each is made of the same `Run`. Several specs may assert one
control: its worst result counts.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args
from xml.etree import ElementTree

from pydantic import TypeAdapter

from connect_infra.errors import ObservationError

Status = Literal["pass", "fail", "error", "waived", "not_applicable"]

WORST_FIRST: tuple[Status, ...] = ("fail", "error", "waived", "pass", "not_applicable")
"""What was seen to be wrong weighs more than what could not be seen, and both more than a pass."""


@dataclass(frozen=True)
class Result:
    """What one control turned out to be. `seconds` is the time its specs took."""

    id: str
    status: Status
    expected: str
    found: str | None
    message: str
    seconds: float


@dataclass(frozen=True)
class Run:
    """One verification of one target. `started` is ISO 8601 in UTC."""

    target: str
    topology: str
    sizing: str
    started: str
    seconds: float
    round_trips: int
    controls: tuple[Result, ...]

    @property
    def counts(self) -> Mapping[Status, int]:
        """How many controls have each status, zeros included."""
        counted = Counter(result.status for result in self.controls)
        return {status: counted[status] for status in get_args(Status)}

    @property
    def asserted(self) -> bool:
        """Whether anything was asserted at all: not applicable is no assertion."""
        return any(result.status != "not_applicable" for result in self.controls)

    @property
    def ok(self) -> bool:
        """Whether nothing failed, nothing went unobserved, and something was asserted."""
        return self.asserted and not (self.counts["fail"] or self.counts["error"])

    def to_json(self) -> str:
        """Return the run as JSON, the fields in their documented order."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def load(path: Path) -> Run:
    """Read a run that `to_json` wrote; raises ObservationError when it is not one."""
    try:
        return TypeAdapter(Run).validate_json(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise ObservationError(
            expected="results of a verification",
            found=f"{type(problem).__name__}",
            where=str(path),
            remedy="run connect-infra verify again",
        ) from problem


def merge(results: Iterable[Result]) -> tuple[Result, ...]:
    """Make one result a control: the worst status, its own evidence, the time of all."""
    by_id: dict[str, list[Result]] = {}
    for result in results:
        by_id.setdefault(result.id, []).append(result)
    return tuple(_merged(same) for same in by_id.values())


def _merged(same: list[Result]) -> Result:
    worst = min(same, key=lambda result: WORST_FIRST.index(result.status))
    if worst.found is None and worst.status == "pass":
        worst = next((one for one in same if one.status == "pass" and one.found), worst)
    seconds = round(sum(result.seconds for result in same), 6)
    return Result(**{**asdict(worst), "seconds": seconds})


def to_junit(run: Run) -> bytes:
    """Return the run as JUnit XML, one test case a control."""
    counts = run.counts
    suite = ElementTree.Element(
        "testsuite",
        name=f"connect-infra {run.target}",
        timestamp=run.started,
        tests=str(len(run.controls)),
        failures=str(counts["fail"]),
        errors=str(counts["error"]),
        skipped=str(counts["waived"] + counts["not_applicable"]),
        time=f"{run.seconds:.3f}",
    )
    for result in run.controls:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=result.id.partition(".")[0],
            name=result.id,
            time=f"{result.seconds:.6f}",
        )
        tag = {"fail": "failure", "error": "error", "pass": None}.get(result.status, "skipped")
        if tag:
            ElementTree.SubElement(case, tag, message=_printable(result.message))
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return bytes(ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True))


def _printable(text: str) -> str:
    """Leave out what XML can't carry."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
