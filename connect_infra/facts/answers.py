"""JSON that tools and services answer with, turned into what was asked for or an error."""

from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from connect_infra.errors import ObservationError
from connect_infra.facts.base import Output

Wanted = TypeVar("Wanted")


def read_json(output: Output, adapter: TypeAdapter[Wanted], what: str) -> Wanted:
    """Return the answer as the adapter's type; ObservationError when it is anything else."""
    text = output.text(what)
    try:
        return adapter.validate_json(text)
    except ValidationError as problem:
        raise ObservationError(
            expected=f"the answer of {what}",
            found=repr(text.strip()[:80]),
            where=what,
            remedy=f"see what it answers on the host ({problem.errors()[0]['msg']})",
        ) from problem
