"""Writes docs/errata.md from the data: what the documents say, what happens, what we do.

Run `python -m connect_infra.document.errata_page` in the checkout after a change to the errata.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from connect_infra.document.controls import Document, Erratum
from connect_infra.document.loading import load

PAGE = Path(__file__).parents[2] / "docs" / "errata.md"

_INTRODUCTION = """\
# Errata

What the documents say that does not work as written on a real host, and what is expected instead.
Each has a test that applies the documented text to a lab host and shows what happens. Where
something can be added that makes the documented statement true, the statement stays (*addition*);
where nothing can, something else is expected (*changed*). Suspicions that proved wrong stand at
the end.

E01 to E99 are of document A, E101 and on of document S. This page is generated from the errata.toml
files in `connect_infra/document/data` by `python -m connect_infra.document.errata_page`.
"""


def page(documents: Sequence[Document]) -> str:
    """Return the page as Markdown."""
    every = [(each, document) for document in documents for each in document.errata.values()]
    in_force = [one for one in every if one[0].kind != "refuted"]
    refuted = [one for one in every if one[0].kind == "refuted"]
    parts = [_INTRODUCTION, _table([erratum for erratum, _ in (*in_force, *refuted)])]
    parts += [_section(*one) for one in in_force]
    if refuted:
        parts.append("## Suspicions that proved wrong\n")
        parts += [_section(*one) for one in refuted]
    return "\n".join(parts)


def _table(errata: Iterable[Erratum]) -> str:
    rows = [f"| {each.id} | {each.title} | {each.kind} |" for each in errata]
    return "\n".join(["| Id | Title | Kind |", "|---|---|---|", *rows, ""])


def _section(erratum: Erratum, document: Document) -> str:
    heading = "###" if erratum.kind == "refuted" else "##"
    controls = [document.controls[name] for name in erratum.controls]
    names = ", ".join(f"`{each.id}` ({each.document} {each.section})" for each in controls)
    return f"""\
{heading} {erratum.id}: {erratum.title}

Controls: {names}.

- **The document says:** {erratum.documented}
- **What happens:** {erratum.happens}
- **What we do:** {erratum.instead}
- **Shown by:** `{erratum.test}`
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page([load(), load("containers")]), encoding="utf-8")


if __name__ == "__main__":
    main()
