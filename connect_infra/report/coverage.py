"""What stands behind each row of the documents, and what does not: the uncovered first."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from connect_infra.document import Control, Document
from connect_infra.errors import ObservationError

NOTICED = frozenset({"killed", "impossible"})
"""Drift verdicts that leave nothing open: noticed, or argued."""


@dataclass(frozen=True)
class Row:
    """One documented statement and what stands behind it.

    `specs` only look, `intrusive` ones disturb the host. `drift` is the verdict of the drift run,
    empty when there is none. `tests` show its errata on a real host, `proofs` are drills and load
    profiles. `missing` says in words what is open.
    """

    id: str
    document: str
    section: str
    kind: str
    documented: str
    provisioned: bool
    specs: tuple[str, ...]
    intrusive: tuple[str, ...]
    drift: str
    errata: tuple[str, ...]
    tests: tuple[str, ...]
    drills: tuple[str, ...]
    load: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def covered(self) -> bool:
        """Whether nothing is open."""
        return not self.missing


@dataclass(frozen=True)
class Evidence:
    """Everything that may stand behind a control, by its id.

    `drift` is None without a run, `provisioned` where a document's hosts are not provisioned by us
    (containers): then neither is missing.
    """

    provisioned: Collection[str] | None
    looking: Mapping[str, Sequence[str]]
    everything: Mapping[str, Sequence[str]]
    drift: Mapping[str, str] | None
    drills: Mapping[str, Sequence[str]]
    load: Mapping[str, Sequence[str]]


def rows(documents: Iterable[tuple[Document, Evidence]]) -> tuple[Row, ...]:
    """Every row of the documents, what is not covered first, then in the documents' order."""
    found = [
        _row(document, control, evidence)
        for document, evidence in documents
        for control in document.controls.values()
    ]
    return tuple(sorted(found, key=lambda row: row.covered))


def _row(document: Document, control: Control, evidence: Evidence) -> Row:
    name = control.id
    looking = tuple(evidence.looking.get(name, ()))
    others = tuple(spec for spec in evidence.everything.get(name, ()) if spec not in looking)
    errata = document.errata_of(name)
    drills, load = tuple(evidence.drills.get(name, ())), tuple(evidence.load.get(name, ()))
    tests = tuple(dict.fromkeys(erratum.test for erratum in errata))
    drift = (evidence.drift or {}).get(name, "")
    if control.lab_not_applicable is not None:
        drift = "not applicable"
    missing: list[str] = []
    provisioned = evidence.provisioned
    placed = control.kind in {"setting", "behaviour"} and provisioned is not None
    if placed and name not in (provisioned or ()):
        missing.append("not provisioned")
    if control.kind in {"setting", "behaviour", "fact", "derived"}:
        missing += [] if looking or others else ["no spec"]
        if evidence.drift is not None and drift not in NOTICED | {"not applicable"}:
            missing.append(f"drift {drift or 'not tried'}")
    elif control.kind == "objective" and not (load or drills):
        missing.append("no load profile")
    elif control.kind == "procedure" and not (drills or tests):
        missing.append("no drill and no test")
    return Row(
        id=name,
        document=control.document,
        section=control.section,
        kind=control.kind,
        documented=control.documented,
        provisioned=name in (provisioned or ()),
        specs=looking,
        intrusive=others,
        drift=drift,
        errata=tuple(erratum.id for erratum in errata),
        tests=tests,
        drills=drills,
        load=load,
        missing=tuple(missing),
    )


def drift_verdicts(path: Path) -> Mapping[str, str]:
    """Read each control's worst verdict from a report of `connect-infra drift`.

    Raises ObservationError when it is not one.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        pairs = [(str(one["id"]), str(one["verdict"])) for one in data["controls"]]
    except (OSError, ValueError, TypeError, KeyError) as problem:
        raise ObservationError(
            expected="a report of connect-infra drift",
            found=type(problem).__name__,
            where=str(path),
            remedy="run: connect-infra drift --target lab --json FILE",
        ) from problem
    worst: dict[str, str] = {}
    for verdict in ("impossible", "killed", "void", "survived"):
        worst |= {name: one for name, one in pairs if one == verdict}
    return worst


def to_json(found: Iterable[Row]) -> str:
    """Return the rows as JSON; docs/drift.md explains the fields."""
    listed = [asdict(row) | {"covered": row.covered} for row in found]
    counts = {
        "rows": len(listed),
        "covered": sum(row["covered"] for row in listed),
        "provisioned": sum(row["provisioned"] for row in listed),
        "asserted": sum(bool(row["specs"] or row["intrusive"]) for row in listed),
    }
    return json.dumps({"counts": counts, "rows": listed}, indent=2, ensure_ascii=False) + "\n"


def show(found: Sequence[Row], console: Console) -> None:
    """Print a line a row, the uncovered in red and first; lines are never folded."""
    width = max(len(row.id) for row in found)
    console.print(f"{'control':{width}}  {'provisioned':11}  specs  {'drift':14}  what else")
    for row in found:
        proofs = " ".join((*row.errata, *row.drills, *row.load)) or "-"
        line = (
            f"{row.id:{width}}  {'yes' if row.provisioned else 'no':11}  "
            f"{len(row.specs):2}+{len(row.intrusive):<2}  {row.drift or '-':14}  {proofs}"
        )
        missing = f"  open: {', '.join(row.missing)}" if row.missing else ""
        style = None if row.covered else "red"
        console.print(f"{line}{missing}", style=style, markup=False, soft_wrap=True)
    covered = sum(row.covered for row in found)
    console.print(f"{covered} of {len(found)} documented statements are covered")
