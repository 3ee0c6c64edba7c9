"""What pydantic finds wrong, in the terms of this project's errors: field, expected, found."""

from typing import NamedTuple

from pydantic import ValidationError


class Problem(NamedTuple):
    """The first mistake in some data; `field` is empty if it lies between fields."""

    field: str
    expected: str
    found: str


def first_problem(error: ValidationError) -> Problem:
    """Return the first mistake that validation found."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return Problem(field, "known keys only", f"the key `{field}`")
    if first["type"] == "missing":
        return Problem(field, f"a value for `{field}`", "none")
    if first["type"] == "value_error":
        text = str(first["ctx"]["error"]).removeprefix("expected ")
        expected, comma, found = text.rpartition(", found ")
        return Problem(field, expected, found) if comma else Problem(field, text, "none")
    return Problem(field, first["msg"].removeprefix("Input should be "), repr(first["input"]))
