"""The page: one HTML file that holds all it needs and asks no network for anything.

Its content security policy allows this page's own style and script, by their hashes, and nothing
else: whatever a host put into a value that it showed, it stays text.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple, TypeVar, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from connect_infra import document
from connect_infra.document import Topology
from connect_infra.errors import ObservationError
from connect_infra.report.page import (
    coverage,
    drift,
    drills,
    load,
    load_charts,
    parts,
    svg,
    verification,
    words,
)
from connect_infra.report.page.coverage import CoverageRun
from connect_infra.report.page.drift import DriftRun
from connect_infra.report.page.drills import DrillRun
from connect_infra.report.page.inputs import KIND_NAMES, Report
from connect_infra.report.page.load import LoadRun
from connect_infra.report.page.parts import Part
from connect_infra.report.results import Run

SLOWEST = 10
"""Controls in the table of the slowest."""

STATUSES = (
    *("fail", "error", "waived", "pass"),
    *("survived", "alarm", "void", "impossible", "killed", "quiet"),
    *("open", "covered"),
    *("met", "missed", "invalid", "unknown", "not_restored"),
)

STATUS_WORDS = {
    **{status: status for status in STATUSES},
    "not_applicable": "n/a",
    "not_restored": "not restored",
}


class Section(NamedTuple):
    """One part of the page: the name of its templates, what it comes to, and what they show."""

    template: str
    part: Part
    view: Mapping[str, object]


class Page(NamedTuple):
    """The page and, for those who made it, what it says first."""

    headline: str
    text: str


def page(reports: Sequence[Report], made: datetime) -> Page:
    """Return the page that shows the given results; `made` is when.

    Raises ObservationError for none, and for two of a kind that there can be only one of.
    """
    sections = tuple(_sections(reports))
    if not sections:
        raise _mixed("results of something", "none")
    summed = [section.part for section in sections]
    style, script = _asset("report.css"), _asset("report.js")
    headline = parts.headline(summed)
    template = _environment().get_template("report.html.j2")
    text = template.render(
        sections=sections,
        parts=summed,
        verdict=parts.overall(summed),
        headline=headline,
        made=made.isoformat(timespec="seconds"),
        style=style,
        script=script,
        policy=_policy(style, script),
    )
    return Page(headline, text)


def _sections(reports: Sequence[Report]) -> Iterator[Section]:
    """Yield the page's parts, in its order whatever the order of the files."""
    run, drifts = _only(Run, reports), _only(DriftRun, reports)
    covered = _only(CoverageRun, reports)
    if run:
        yield _verification(run, drifts)
    if drifts:
        yield _drift(drifts)
    if covered:
        yield _coverage(covered)
    loads = [report for report in reports if isinstance(report, LoadRun)]
    for number, (each, name) in enumerate(zip(loads, load.names(loads), strict=True), 1):
        yield _load(each, name, number)
    drill_runs = [report for report in reports if isinstance(report, DrillRun)]
    if drill_runs:
        yield _drills(drill_runs)


_Kind = TypeVar("_Kind", Run, DriftRun, CoverageRun)


def _only(kind: type[_Kind], reports: Sequence[Report]) -> _Kind | None:
    """Return the one of a kind whose controls have their places on the page."""
    found = [report for report in reports if isinstance(report, kind)]
    if len(found) > 1:
        raise _mixed(f"one {KIND_NAMES[kind]}", f"{len(found)}")
    return found[0] if found else None


def _mixed(expected: str, found: str) -> ObservationError:
    return ObservationError(
        expected=expected, found=found, where="report", remedy="name one file of each kind"
    )


def _verification(run: Run, drifts: DriftRun | None) -> Section:
    rows = verification.rows(run, document.load(_topology(run)))
    view = {
        "run": run,
        "counts": verification.count(rows),
        "components": verification.components(rows),
        "troubles": verification.troubles(rows),
        "errata": verification.errata(rows),
        "waived": [row for row in rows if row.status == "waived"],
        "slowest": verification.slowest(rows, SLOWEST),
        "drift": drift.by_control(drifts) if drifts else {},
    }
    return Section("verification", verification.part(run), view)


def _topology(run: Run) -> Topology:
    return "containers" if run.topology == "containers" else "native"


def _drift(run: DriftRun) -> Section:
    view = {
        "run": run,
        "counts": run.counts,
        "wrong": drift.wrong(run),
        "groups": words.grouped(run.drifts, lambda each: _component_of(each.id)),
    }
    return Section("drift", drift.part(run), view)


def _coverage(run: CoverageRun) -> Section:
    view = {
        "counts": coverage.counts(run),
        "open": [row for row in run.rows if not row.covered],
        "groups": words.grouped(run.rows, lambda row: _component_of(row.id)),
    }
    return Section("coverage", coverage.part(run), view)


def _component_of(control: str) -> str:
    """Return the component of a control of any topology, else what its id begins with."""
    for topology in get_args(Topology):
        known = document.load(topology).controls.get(control)
        if known is not None:
            return known.component
    return control.partition(".")[0]


def _load(run: LoadRun, name: str, number: int) -> Section:
    view = {"run": run, "charts": load_charts.charts(run)}
    return Section("load", load.part(run, name, f"load-{number}"), view)


def _drills(runs: Sequence[DrillRun]) -> Section:
    chosen = drills.shown(runs)
    return Section("drills", drills.part(chosen), {"drills": chosen})


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@cache
def _asset(name: str) -> Markup:
    """Return a file of the page's own as it stands, for it needs no escaping."""
    source, _, _ = _loader().get_source(_environment(), name)
    return Markup(source)


@cache
def _loader() -> PackageLoader:
    return PackageLoader("connect_infra.report.page")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=_loader(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        each.__name__: each
        for each in (words.moment, words.duration, words.plural, words.number, words.with_unit)
    }
    environment.globals |= {
        "share_bar": svg.share_bar,
        "meter": svg.meter,
        "key": svg.key,
        "words": STATUS_WORDS,
    }
    return environment
