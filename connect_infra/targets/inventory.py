"""The inventory: one TOML file that lists the targets; the lab is built in."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from connect_infra.document import first_problem
from connect_infra.errors import InventoryError
from connect_infra.targets import lab
from connect_infra.targets.target import Target

DEFAULT_FILE = Path("connect-infra.toml")


@dataclass(frozen=True)
class Inventory:
    """The targets of one inventory file, and the lab's."""

    targets: Mapping[str, Target]
    file: Path | None

    def target(self, name: str) -> Target:
        """Return the target of that name; InventoryError if it or one of its files is missing."""
        if lab.is_lab(name):
            return read_lab(name)
        if name not in self.targets:
            raise InventoryError(
                expected=f"one of {', '.join([*self.targets, lab.NAME])}",
                found=f"the target {name!r}",
                where=str(self.file or DEFAULT_FILE),
                remedy="list it in the inventory, or use a target that is listed",
            )
        return _with_files(self.targets[name], str(self.file))


def load_inventory(path: Path | None = None) -> Inventory:
    """Read the inventory at `path`, or ./connect-infra.toml where it exists.

    Raises InventoryError, in one line, for a missing file, bad TOML, an unknown key, a bad value.
    """
    if path is None and not DEFAULT_FILE.exists():
        return Inventory(MappingProxyType({}), None)
    file = path or DEFAULT_FILE
    targets = _read(file)
    for name, target in targets.items():
        if lab.is_lab(name) or target.lab:
            raise InventoryError(
                expected="no entry for the lab, which is built in",
                found="lab = true" if target.lab else f"a target named {name!r}",
                where=f"{file}, targets.{name}",
                remedy="remove it; `connect-infra lab up` makes the lab's own",
            )
    return Inventory(MappingProxyType(targets), file)


def read_lab(name: str = lab.NAME) -> Target:
    """Return a host of the lab that is up; InventoryError if it isn't."""
    file = lab.target_file()
    targets = _read(file) if file.exists() else {}
    if name not in targets:
        raise InventoryError(
            expected=f"a lab host named {name!r}",
            found=f"{', '.join(targets)}" if targets else "that the lab is not up",
            where=str(file),
            remedy="run connect-infra lab up",
        )
    return _with_files(targets[name], str(file))


def _read(file: Path) -> dict[str, Target]:
    content = parse_toml(file)
    tables = content.get("targets", {})
    if set(content) - {"targets"} or not isinstance(tables, dict):
        raise InventoryError(
            expected="[targets.<name>] tables and nothing else",
            found=", ".join(sorted(set(content) - {"targets"})) or "targets that are no table",
            where=str(file),
            remedy="see connect-infra.example.toml",
        )
    return {name: _target(file, name, table) for name, table in tables.items()}


def _target(file: Path, name: str, table: object) -> Target:
    where = f"{file}, targets.{name}"
    if not isinstance(table, dict) or "name" in table:
        found = "a `name` in the table" if isinstance(table, dict) else repr(table)
        raise InventoryError(
            expected="a table that takes its name from its heading",
            found=found,
            where=where,
            remedy="see connect-infra.example.toml",
        )
    try:
        row = {"name": name, **table}
        return Target.model_validate(row, context={"base": file.absolute().parent})
    except ValidationError as problem:
        field, expected, found = first_problem(problem)
        raise InventoryError(
            expected=expected,
            found=found,
            where=f"{where}, {field}" if field else where,
            remedy="correct the inventory; docs/targets.md lists the keys",
        ) from problem


def _with_files(target: Target, where: str) -> Target:
    """Only a target that is used needs its files: not every machine has every key."""
    for field in ("key", "known_hosts", "secrets", "waivers"):
        path = getattr(target, field)
        if path is not None and not path.is_file():
            raise InventoryError(
                expected=f"a file at {path}",
                found="none",
                where=f"{where}, targets.{target.name}, {field}",
                remedy="put the file there or correct the inventory",
            )
    return target


def parse_toml(file: Path) -> dict[str, Any]:
    """Return what the TOML file holds; InventoryError if it can't be read."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise InventoryError(
            expected="a readable TOML file",
            found=getattr(problem, "strerror", None) or str(problem),
            where=str(file),
            remedy="create or correct the file",
        ) from problem
