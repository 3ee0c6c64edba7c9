"""Coverage as the page shows it: which documented statements have nothing behind them."""

from collections.abc import Mapping
from dataclasses import dataclass

from connect_infra.report.coverage import Row
from connect_infra.report.page.parts import Part
from connect_infra.report.page.words import plural


@dataclass(frozen=True)
class CoverageRun:
    """What `connect-infra coverage --json` prints."""

    rows: tuple[Row, ...]


def counts(run: CoverageRun) -> Mapping[str, int]:
    """How many statements are open and how many covered."""
    covered = sum(1 for row in run.rows if row.covered)
    return {"open": len(run.rows) - covered, "covered": covered}


def part(run: CoverageRun) -> Part:
    """Return what the coverage comes to."""
    total, missing = len(run.rows), counts(run)["open"]
    asserted = sum(1 for row in run.rows if row.specs or row.intrusive)
    provisioned = sum(1 for row in run.rows if row.provisioned)
    detail = (
        f"Of {plural(total, 'documented statement')}, {provisioned:,} are provisioned and "
        f"{asserted:,} asserted by specs."
    )
    if missing or not total:
        headline = f"{missing:,} of {plural(total, 'statement')} not covered"
        return Part("coverage", "coverage", "bad", headline, detail)
    return Part("coverage", "coverage", "good", "Every documented statement is covered", detail)
