"""Waivers: controls that a target need not meet for now, with an owner, a reason and an end."""

import datetime
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connect_infra.document import first_problem
from connect_infra.errors import InventoryError
from connect_infra.targets.inventory import parse_toml


class Waiver(BaseModel):
    """One control that is waived until the end of the day `expires`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, str_strip_whitespace=True)

    control: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    expires: datetime.date


def load_waivers(
    path: Path | None, known: Collection[str], today: datetime.date
) -> Mapping[str, Waiver]:
    """Read the `[[waiver]]` tables of a file; control id -> waiver. No file: none.

    Raises InventoryError if the file can't be read or is inconsistent, if a control is unknown or
    waived twice, or if a waiver has expired.
    """
    if path is None:
        return MappingProxyType({})
    content = parse_toml(path)
    tables = content.get("waiver", [])
    if set(content) - {"waiver"} or not isinstance(tables, list):
        found = ", ".join(content) or "nothing"
        raise _refused(str(path), "[[waiver]] tables and nothing else", found)
    waivers: dict[str, Waiver] = {}
    for number, table in enumerate(tables, 1):
        waiver = _waiver(path, number, table)
        if waiver.control in waivers:
            raise _refused(f"{path}, waiver {number}", "one waiver a control", waiver.control)
        if waiver.control not in known:
            found = repr(waiver.control)
            raise _refused(f"{path}, waiver {number}", "the id of a documented control", found)
        if waiver.expires < today:
            found = f"one of {waiver.owner} that expired on {waiver.expires}"
            raise _refused(f"{path}, {waiver.control}", "a waiver in force", found)
        waivers[waiver.control] = waiver
    return MappingProxyType(waivers)


def _waiver(path: Path, number: int, table: object) -> Waiver:
    try:
        return Waiver.model_validate(table)
    except ValidationError as problem:
        field, expected, found = first_problem(problem)
        raise _refused(f"{path}, waiver {number}, {field or 'table'}", expected, found) from problem


def _refused(where: str, expected: str, found: str) -> InventoryError:
    return InventoryError(
        expected=expected, found=found, where=where, remedy="correct or remove the waiver"
    )
