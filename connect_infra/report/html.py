"""The page: one HTML file that holds all it needs and asks no network for anything.

Its content security policy allows this page's own style and script, by their hashes, and nothing
else: whatever a host put into a value that it showed, it stays text.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from connect_infra.document import Document
from connect_infra.report import parts, svg, verification
from connect_infra.report.parts import Part
from connect_infra.report.results import Run

SLOWEST = 10
"""Controls in the table of the slowest."""

STATUS_WORDS = {
    "fail": "fail",
    "error": "error",
    "waived": "waived",
    "pass": "pass",
    "not_applicable": "n/a",
}


class Section(NamedTuple):
    """One part of the page: the name of its templates, what it comes to, and what they show."""

    template: str
    part: Part
    view: Mapping[str, object]


def page(runs: Sequence[Run], document: Document, made: datetime) -> str:
    """Return the page that shows the given results; `made` is when. Raises ValueError for none."""
    if not runs:
        raise ValueError("expected results, found none")
    sections = [_verification(run, document) for run in runs]
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


def _verification(run: Run, document: Document) -> Section:
    rows = verification.rows(run, document)
    view = {
        "run": run,
        "counts": verification.count(rows),
        "components": verification.components(rows),
        "troubles": verification.troubles(rows),
        "errata": verification.errata(rows),
        "waived": [row for row in rows if row.status == "waived"],
        "slowest": verification.slowest(rows, SLOWEST),
    }
    return Section("verification", verification.part(run), view)


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
    environment.filters |= {"moment": moment, "duration": duration, "plural": parts.plural}
    environment.globals |= {"share_bar": svg.share_bar, "meter": svg.meter, "words": STATUS_WORDS}
    return environment


def moment(iso: str) -> str:
    """Write an instant for a person, in UTC; text that is none is left as it is."""
    try:
        when = datetime.fromisoformat(iso).astimezone(UTC)
    except ValueError:
        return iso
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def duration(seconds: float) -> str:
    """Write a length of time in the unit that fits it."""
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
