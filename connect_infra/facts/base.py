"""What a subsystem's module is made of: commands as data, and a pure parser of their output."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from connect_infra.errors import ObservationError


@dataclass(frozen=True)
class Output:
    """What one command printed on the host, and its exit code."""

    code: int
    stdout: str
    stderr: str

    def text(self, what: str) -> str:
        """What was printed; ObservationError when the command failed or printed nothing.

        `what` names the thing that was looked at, for the message.
        """
        if self.code == 0 and self.stdout.strip():
            return self.stdout
        said = self.stderr.strip().splitlines() or self.stdout.strip().splitlines()
        found = f"exit code {self.code}: {said[-1]}" if said else f"nothing (exit code {self.code})"
        raise ObservationError(
            expected="an answer",
            found=found,
            where=what,
            remedy="see whether the service runs and its tools are installed on the host",
        )


def junk(
    where: str, remedy: str, most: int | None = None
) -> Callable[[str, str], ObservationError]:
    """How a module refuses what was printed there: the error by what was expected and found.

    `most` is how many characters of it are shown.
    """

    def refusal(expected: str, found: str) -> ObservationError:
        return ObservationError(
            expected=expected, found=repr(found[:most]), where=where, remedy=remedy
        )

    return refusal


class FactModule(Protocol):
    """A module of this package: its name, its commands, and the parser of what they print."""

    NAME: str
    COMMANDS: Mapping[str, str]

    def parse(self, outputs: Mapping[str, Output]) -> Any:
        """Typed facts; ObservationError when the output is not what was asked for."""
