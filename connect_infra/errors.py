"""The one family of errors that a user may meet.

Each is a single line: what was expected, what was found, where, and what to do about it.
"""


class ConnectInfraError(Exception):
    """Raised when something this project depends on is not as it must be."""

    def __init__(self, *, expected: str, found: str, where: str, remedy: str) -> None:
        """Keep the four parts; `str()` joins them into one line."""
        super().__init__(expected, found, where, remedy)
        self.expected = expected
        self.found = found
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        """One line for a person."""
        line = f"{self.where}: expected {self.expected}, found {self.found}; {self.remedy}"
        return " ".join(line.split())

    def __reduce__(self) -> tuple[object, ...]:
        """Keyword-only arguments need help to travel between processes."""
        return (_rebuild, (type(self), self.expected, self.found, self.where, self.remedy))


def _rebuild(
    kind: type[ConnectInfraError], expected: str, found: str, where: str, remedy: str
) -> ConnectInfraError:
    return kind(expected=expected, found=found, where=where, remedy=remedy)


class DocumentError(ConnectInfraError):
    """Raised when the documents' data (controls, errata) is wrong."""


class InventoryError(ConnectInfraError):
    """Raised when the inventory, a target, its secrets or its waivers can't be used."""


class GuardError(ConnectInfraError):
    """Raised when a target does not allow what was asked for."""


class TransportError(ConnectInfraError):
    """Raised when a host can't be reached or spoken to."""


class HostUnreachable(TransportError):
    """Raised when no connection to the host can be made in time."""


class HostKeyMismatch(TransportError):
    """Raised when the host's key is unknown or not the one that is on file."""


class AuthenticationRefused(TransportError):
    """Raised when the host refuses the user or the key."""


class SudoRefused(TransportError):
    """Raised when sudo is missing on the host or asks for a password."""


class CommandTimedOut(TransportError):
    """Raised when a command on the host does not end within its time limit."""


class CommandFailed(TransportError):
    """Raised when a command on the host ends with an exit code nobody expected."""


class ObservationError(ConnectInfraError):
    """Raised when a fact can't be observed: a missing tool, no output, or junk."""


class PlanError(ConnectInfraError):
    """Raised when a plan can't be made, or no longer fits the host."""


class ApplyError(ConnectInfraError):
    """Raised when a change could not be made; what was there before is back in place."""


class OperationError(ConnectInfraError):
    """Raised when an operation on a host (deploy, backup, …) failed; says what it left behind."""


class LabError(ConnectInfraError):
    """Raised when the lab's engine, image, network or hosts are not as they must be."""


class LoadError(ConnectInfraError):
    """Raised when a load run can't be made, or its results can't be read."""
