"""Nobody is locked out: a change of a way in holds only once a fresh login has come through it.

The host arms its own timer before it changes anything (host_side/way_in.py) and takes the change
back when the proof does not come. Here is the controller's half: the fresh login, within a time
limit.
"""

import time

from connect_infra.errors import ApplyError, TransportError
from connect_infra.transport import Connection
from provisioning.component import WayIn
from provisioning.sent import host_side

PROOF_SECONDS = 20.0
"""How long a fresh login is tried; well within the host's own time limit (WayIn.seconds)."""

PAUSE_SECONDS = 0.2


def encode(way_in: WayIn | None, source: str) -> dict[str, object] | None:
    """What the host is told; `source` is its own half, for its timer to run."""
    if way_in is None:
        return None
    return {
        "seconds": way_in.seconds,
        "keep": way_in.keep,
        "back": way_in.back,
        "source": source,
    }


def prove(connection: Connection, name: str, lease: dict[str, object]) -> None:
    """Come in by a fresh login and say so to the host; ApplyError when that fails.

    The old way in is back then: at once if the old connection still carries, else by the host's
    own timer.
    """
    deadline = time.monotonic() + PROOF_SECONDS
    while True:
        try:
            with connection.again() as fresh:
                answer = _ask(fresh, "proven", name, lease)
            break
        except TransportError as problem:
            if time.monotonic() > deadline:
                back = _take_back(connection, name, lease)
                raise _refused(connection, name, str(problem), back) from None
            time.sleep(PAUSE_SECONDS)
    if "failed" in answer:
        raise _refused(connection, name, answer["failed"]["message"], True)


def _take_back(connection: Connection, name: str, lease: dict[str, object]) -> bool:
    try:
        return "failed" not in _ask(connection, "take back", name, lease)
    except TransportError:
        return False  # the host's own timer will do it


def _ask(
    connection: Connection, what: str, name: str, lease: dict[str, object]
) -> dict[str, dict[str, str]]:
    request = {"do": what, "name": name, "lease": lease}
    answer: dict[str, dict[str, str]] = connection.python(
        host_side(), request, sudo=True, timeout=PROOF_SECONDS
    )
    return answer


def _refused(connection: Connection, name: str, found: str, back: bool) -> ApplyError:
    now = "is back" if back else "goes back by the host's own timer within a minute"
    return ApplyError(
        expected=f"{name}: a fresh login within {PROOF_SECONDS:g} s of the change",
        found=found,
        where=connection.name,
        remedy=f"the way in of before {now}; correct what {name} is given and apply again",
    )
