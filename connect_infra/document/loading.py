"""Reads the documents' data and refuses what is inconsistent, naming file, control and field."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, TypeGuard, TypeVar

from pydantic import BaseModel, ValidationError

from connect_infra.document.controls import Control, Document, Erratum, Topology
from connect_infra.document.problems import first_problem
from connect_infra.errors import DocumentError

DATA = Path(__file__).parent / "data"
FOLDERS: dict[Topology, Path] = {"native": DATA, "containers": DATA / "containers"}
ERRATA = "errata.toml"

SECTIONS_OF_S = (
    "Infrastructure", "Containers", "Deployment", "Rollback", "Monitoring", "Security",
    "Performance",
)  # fmt: skip
"""Document S has no section numbers; these are its headings in their order."""

_Model = TypeVar("_Model", bound=BaseModel)


def load(topology: Topology = "native") -> Document:
    """Return a topology's controls and errata: native is document A, containers is document S.

    Raises DocumentError.
    """
    return _loaded(topology)


@lru_cache(maxsize=len(FOLDERS))
def _loaded(topology: Topology) -> Document:
    return read(FOLDERS[topology])


def read(directory: Path) -> Document:
    """Read the data in `directory`: one file a component, and the errata. Raises DocumentError."""
    files = sorted(path for path in directory.glob("*.toml") if path.name != ERRATA)
    rows = [control for path in files for control in _controls(path)]
    rows.sort(key=_place)
    controls = _by_id(rows, directory)
    errata = _by_id(_errata(directory / ERRATA), directory / ERRATA)
    return Document(
        controls=MappingProxyType(_linked(controls, errata, directory)),
        errata=MappingProxyType(errata),
    )


def _place(control: Control) -> list[int]:
    if control.section in SECTIONS_OF_S:
        return [SECTIONS_OF_S.index(control.section)]
    return [int(part) for part in re.findall(r"\d+", control.section)]


def _controls(path: Path) -> Iterator[Control]:
    component = path.name.removesuffix(".toml")
    for row in _tables(path, "control"):
        if forbidden := {"component", "erratum"} & row.keys():
            _refuse(path, row, min(forbidden), "a field that follows from other data", "it written")
        yield _validated(Control, {"component": component, **row}, path)


def _errata(path: Path) -> Iterator[Erratum]:
    for row in _tables(path, "erratum") if path.exists() else ():
        yield _validated(Erratum, row, path)


def _tables(path: Path, name: str) -> list[dict[str, Any]]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise DocumentError(
            expected=f"readable TOML with [[{name}]] tables",
            found=str(problem),
            where=str(path),
            remedy="correct the file",
        ) from problem
    tables = content.get(name)
    if set(content) != {name} or not _are_tables(tables):
        raise DocumentError(
            expected=f"[[{name}]] tables and nothing else",
            found=", ".join(content) or "an empty file",
            where=str(path),
            remedy="correct the file",
        )
    return tables


def _are_tables(value: object) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _validated(model: type[_Model], row: dict[str, Any], path: Path) -> _Model:
    try:
        return model.model_validate(row)
    except ValidationError as problem:
        field, expected, found = first_problem(problem)
        _refuse(path, row, field or "the whole table", expected, found)


def _refuse(path: Path, row: dict[str, Any], field: str, expected: str, found: str) -> NoReturn:
    raise DocumentError(
        expected=expected,
        found=found,
        where=f"{path}, {row.get('id', 'a table without id')}, {field}",
        remedy="correct the data",
    )


_Row = TypeVar("_Row", Control, Erratum)


def _by_id(rows: Iterable[_Row], where: Path) -> dict[str, _Row]:
    found: dict[str, _Row] = {}
    for row in rows:
        if row.id in found:
            _refuse(where, {"id": row.id}, "id", "an id of its own", "it twice")
        found[row.id] = row
    return found


def _linked(
    controls: dict[str, Control], errata: dict[str, Erratum], directory: Path
) -> dict[str, Control]:
    """Give each control its erratum, and hold the two sides against each other."""
    linked = dict(controls)
    changed: set[str] = set()
    for erratum in errata.values():
        for name in erratum.controls:
            if name not in controls:
                where = directory / ERRATA
                _refuse(where, {"id": erratum.id}, "controls", "documented ids", repr(name))
            if erratum.kind == "changed":
                changed.add(name)
            if erratum.kind != "refuted" and linked[name].erratum is None:
                linked[name] = linked[name].model_copy(update={"erratum": erratum.id})
    for name, control in controls.items():
        if control.expected is not None and name not in changed:
            path = directory / f"{control.component}.toml"
            row = {"id": name}
            _refuse(path, row, "expected", "an erratum of kind changed that names it", "none")
    return linked
