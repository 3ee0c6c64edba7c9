"""Backups and restores by the host's own scripts, and copies of the backups off the host."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from connect_infra.document import Topology
from connect_infra.errors import OperationError
from connect_infra.operations.remote import Progress, brought, fetched, must
from connect_infra.transport import Connection


@dataclass(frozen=True)
class Place:
    """Where a host keeps its backups, and how they leave (home) and come (file, home)."""

    home: str
    pack: str
    unpack: str


_PACK_NATIVE = """
cd "$1"
newest=$(find system -name 'connect_system_*.tar.gz' | sort | tail -n 1)
exec tar --create --file - pgbackrest $newest
"""

_UNPACK_NATIVE = """
set -eu
systemctl stop nginx connect pgbouncer postgresql@15-main
tar --extract --file "$1" --directory "$2" --one-top-level=.arriving
for part in pgbackrest system; do test -d "$2/.arriving/$part"; done
if [ -e "$2/pgbackrest" ]; then mv "$2/pgbackrest" "$2/pgbackrest.replaced-$(date +%s)"; fi
mv "$2/.arriving/pgbackrest" "$2/pgbackrest"
install -d -m 700 "$2/system"
mv "$2"/.arriving/system/*.tar.gz "$2/system/"
rm -r "$2/.arriving"
"""
"""The server is stopped first: it would archive its own WAL into what was brought. The repository
that was there is kept beside the new one: it may be the only one."""

_PACK_DOCKER = """
cd "$1"
exec tar --create --file - pgbackrest postgres redis uploads
"""

_UNPACK_DOCKER = """
set -eu
docker stop connect_app1 connect_app2 patroni1 patroni2 >/dev/null
arriving=$2.arriving
rm -rf "$arriving"
mkdir -m 700 "$arriving"
tar --extract --file "$1" --directory "$arriving"
for part in pgbackrest postgres redis uploads; do
  test -d "$arriving/$part"
done
replaced="$2/replaced-$(date +%s)"
mkdir -m 700 "$replaced"
cp -a "$2/pgbackrest/." "$replaced/"
find "$2/pgbackrest" -mindepth 1 -delete
cp -a "$arriving/." "$2/"
rm -r "$arriving"
"""
"""The archive's directory stays the same one: the nodes' containers have it mounted."""

PLACES: Mapping[Topology, Place] = {
    "native": Place("/opt/connect/backup", _PACK_NATIVE, _UNPACK_NATIVE),
    "containers": Place("/backups", _PACK_DOCKER, _UNPACK_DOCKER),
}

LIMIT = 3600.0
"""Seconds for unpacking a copy on the host."""


def back_up_database(connection: Connection, progress: Progress, *, full: bool = False) -> None:
    """Make a pgBackRest backup now; OperationError when none was made."""
    must(connection, "backup-database.sh", "full" if full else "diff", progress=progress)


def back_up_system(connection: Connection, progress: Progress) -> None:
    """Keep releases, configuration, uploads and monitoring; OperationError when that failed."""
    must(connection, "backup-system.sh", progress=progress)


def verify_backups(connection: Connection, progress: Progress) -> None:
    """Restore both beside the running platform; OperationError when one can't be."""
    must(connection, "verify-backup.sh", progress=progress)


def restore_database(
    connection: Connection, progress: Progress, moment: str = "", *, brought: bool = False
) -> None:
    """Restore the database to the end of its WAL, or to a moment such as 2026-03-01 14:30+00.

    `brought`: the backups are another host's, so the WAL on this one must not be replayed.
    """
    options = [*(["--to", moment] if moment else []), *(["--without-wal"] if brought else [])]
    must(connection, "restore-database.sh", *options, progress=progress)


def restore_system(connection: Connection, progress: Progress) -> None:
    """Put back what the newest system backup on the host has."""
    must(connection, "restore-system.sh", progress=progress)


def copy_off(
    connection: Connection, file: Path, progress: Progress, topology: Topology = "native"
) -> None:
    """Copy the database's repository and the newest system backup into a file here, mode 600.

    It holds everything, secrets included. OperationError when it did not arrive whole; an older
    file of that name is then as it was.
    """
    beside = file.with_name(f"{file.name}.part")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            place = PLACES[topology]
            size = fetched(connection, ["/bin/sh", "-c", place.pack, "sh", place.home], out.write)
        beside.replace(file)
    except OSError as problem:
        raise OperationError(
            expected=f"{file} to be written",
            found=problem.strerror or str(problem),
            where="this machine",
            remedy="give another path, or make room",
        ) from None
    finally:
        beside.unlink(missing_ok=True)
    progress(f"copied: {size / 2**20:.1f} MiB to {file}")


def copy_back(
    connection: Connection, file: Path, progress: Progress, topology: Topology = "native"
) -> None:
    """Bring what `copy_off` wrote onto a host, in the place of its own backups; it is down then."""
    with brought(connection, file, progress) as path:
        place = PLACES[topology]
        done = connection.run(place.unpack, path, place.home, sudo=True, timeout=LIMIT)
    if done.code != 0:
        raise OperationError(
            expected=f"{file} to be a copy of a host's backups",
            found=(done.stderr.strip().splitlines() or [f"exit code {done.code}"])[-1],
            where=connection.name,
            remedy="give a file that connect-infra backup --out wrote",
        )
    progress(f"brought: the backups of {file.name}")
