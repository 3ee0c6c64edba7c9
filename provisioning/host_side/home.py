"""Our own directory on the host, and who holds the host: one apply at a time."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from typing import IO

from provisioning.host_side.commands import Json

HOME = "/var/lib/connect-infra"
PENDING = HOME + "/pending"
KEPT = HOME + "/kept"
STAGED = HOME + "/staged"
LOCK = HOME + "/lock"

LEASE_SECONDS = 60
"""How long an apply holds the host after its last sign of life."""


def make_home() -> None:
    """Our own directories: the staged tree is passable for service users, the rest is root's."""
    for path, mode in ((HOME, 0o711), (PENDING, 0o700), (KEPT, 0o700), (STAGED, 0o711)):
        if not os.path.isdir(path):
            os.makedirs(path)
        os.chmod(path, mode)


def in_words(problem: OSError) -> str:
    """An OSError as a person reads it; a full disk says which one and how full."""
    where = problem.filename or HOME
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        place = where if os.path.isdir(where) else os.path.dirname(where) or "/"
        while not os.path.isdir(place):
            place = os.path.dirname(place)
        free = shutil.disk_usage(place).free
        return f"no space left for {where} ({free // 1024} kB free there); free some space"
    return f"{where}: {os.strerror(problem.errno) if problem.errno else problem}"


@contextlib.contextmanager
def held(lease: Json) -> Iterator[Json | None]:
    """Hold the host for one trip; yields who holds it instead, or None.

    The file lock covers the trip, the lease in the file the time between an apply's trips.
    `lease["void"]` is the token of a lease whose controller is known to be dead.
    """
    make_home()
    with open(LOCK, "a+", encoding="utf-8") as handle:
        os.fchmod(handle.fileno(), 0o600)
        handle.seek(0)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield dict(read_lease(handle), running=True)
            return
        other = read_lease(handle)
        mine = (lease["token"], lease.get("void"))
        if other.get("expires", 0) > time.time() and other["token"] not in mine:
            yield dict(other, running=False)
            return
        renew(handle, lease)
        yield None
        renew(handle, lease)


def read_lease(handle: IO[str]) -> Json:
    """Who holds the host by the lock file; empty when nobody does."""
    try:
        lease: Json = json.loads(handle.read() or "{}")
        return lease
    except ValueError:
        return {}


def renew(handle: IO[str], lease: Json) -> None:
    """Write our lease into the lock file."""
    handle.seek(0)
    handle.truncate()
    json.dump(
        {
            "token": lease["token"],
            "holder": lease["holder"],
            "expires": time.time() + LEASE_SECONDS,
        },
        handle,
    )
    handle.flush()


def release(lease: Json) -> Json:
    """Give the host free, if it is ours."""
    with open(LOCK, "a+", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        if read_lease(handle).get("token") == lease["token"]:
            handle.truncate(0)
    return {}
