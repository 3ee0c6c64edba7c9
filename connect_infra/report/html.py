"""The page: one HTML file that holds all it needs and asks no network for anything.

Its content security policy allows this page's own style and script, by their hashes, and nothing
else: whatever a host put into a value that it showed, it stays text.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from connect_infra.document import Document
from connect_infra.errors import ObservationError
from connect_infra.report import drift, drills, load, parts, svg, verification, words
from connect_infra.report.drift import DriftRun
from connect_infra.report.drills import DrillRun
from connect_infra.report.inputs import KIND_NAMES, Report
from connect_infra.report.load import LoadRun
from connect_infra.report.parts import Part
from connect_infra.report.results import Run

SLOWEST = 10
"""Controls in the table of the slowest."""

STATUSES = (
    *("fail", "error", "waived", "pass"),
    *("survived", "alarm", "void", "impossible", "killed", "quiet"),
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


def page(reports: Sequence[Report], document: Document, made: datetime) -> str:
    """Return the page that shows the given results; `made` is when.

    Raises ObservationError for none, and for two of a kind that there can be only one of.
    """
    run = _only(Run, reports)
    drifts = _only(DriftRun, reports)
    sections = []
    if run:
        sections.append(_verification(run, document, drifts))
    if drifts:
        sections.append(_drift(drifts, document))
    loads = [report for report in reports if isinstance(report, LoadRun)]
    sections += [_load(each, number) for number, each in enumerate(loads, 1)]
    drill_runs = [report for report in reports if isinstance(report, DrillRun)]
    if drill_runs:
        sections.append(_drills(drill_runs))
    if not sections:
        raise _mixed("results of something", "none")
    summed = [section.part for section in sections]
    style, script = _asset("report.css"), _asset("report.js")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            sections=sections,
            parts=summed,
            verdict=parts.overall(summed),
            headline=parts.headline(summed),
            made=made.isoformat(timespec="seconds"),
            style=style,
            script=script,
            policy=_policy(style, script),
        )
    )


_Kind = TypeVar("_Kind", Run, DriftRun)


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


def _verification(run: Run, document: Document, drifts: DriftRun | None) -> Section:
    rows = verification.rows(run, document)
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


def _drift(run: DriftRun, document: Document) -> Section:
    component_of = {control.id: control.component for control in document.controls.values()}
    view = {
        "run": run,
        "counts": run.counts,
        "wrong": drift.wrong(run),
        "groups": drift.groups(run, component_of),
    }
    return Section("drift", drift.part(run), view)


def _load(run: LoadRun, number: int) -> Section:
    view = {"run": run, "charts": load.charts(run)}
    return Section("load", load.part(run, f"load-{number}"), view)


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
    return PackageLoader("connect_infra.report")


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
