"""Run a script of the host with its lines as they come, and bring files there."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from connect_infra.errors import OperationError
from connect_infra.transport import Channel, Connection

SCRIPTS = "/opt/connect/scripts"

Progress = Callable[[str], None]

FOLLOW = '"$@" </dev/null 2>&1; printf "\\n%s %s\\n" connect-infra-ended "$?"'
"""What runs on the host: everything said in one stream, and the exit code at its end."""

ENDED = "connect-infra-ended "

RECEIVE = """
set -eu
umask 077
file=$(mktemp /tmp/connect-XXXXXXXX)
echo "$file"
cat >"$file" || { rm -f "$file"; exit 1; }
sha256sum <"$file"
"""

ERROR = "error: "

GIVE = 'if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n -- "$@"; fi && printf "%s" "$0"'
"""What runs on the host to send a command's output as root; the mark says that it is whole."""

WHOLE = "connect-infra-whole"

CHUNK = 2**22

STEPS = 4
"""How often an upload says how far it is."""


def follow(connection: Connection, script: str, *arguments: str, progress: Progress) -> int:
    """Run a script of the host and hand over each line; return its exit code.

    OperationError when the connection ends before the script: the script itself goes on.
    """
    argv = ["/bin/sh", "-c", FOLLOW, "sh", f"{SCRIPTS}/{script}", *arguments]
    channel = connection.open_channel(argv)
    try:
        channel.finish()
        for line in _lines(channel):
            if line.startswith(ENDED):
                return int(line.removeprefix(ENDED))
            if line:
                progress(line)
    finally:
        channel.close()
    raise OperationError(
        expected=f"{script} to say how it ended",
        found="the end of the connection",
        where=connection.name,
        remedy="it goes on there, to its end or back; look at: connect-infra health --target …",
    )


def must(connection: Connection, script: str, *arguments: str, progress: Progress) -> None:
    """Run a script of the host to its good end; OperationError with its own words otherwise."""
    said: list[str] = []

    def note(line: str) -> None:
        said.append(line)
        progress(line)

    code = follow(connection, script, *arguments, progress=note)
    if code != 0:
        errors = [line.removeprefix(ERROR) for line in said if line.startswith(ERROR)]
        raise OperationError(
            expected=f"{script} to succeed",
            found=errors[0] if errors else said[-1] if said else f"exit code {code}",
            where=connection.name,
            remedy="mend that and repeat"
            if len(errors) != 1 or said[-1].startswith(ERROR)
            else said[-1],
        )


@contextmanager
def brought(connection: Connection, file: Path, progress: Progress) -> Iterator[str]:
    """A local file on the host, whole, for the time of the block: its path there."""
    try:
        size = file.stat().st_size
        content = file.open("rb")
    except OSError as problem:
        raise OperationError(
            expected=f"a file {file}",
            found=problem.strerror or str(problem),
            where="this machine",
            remedy="give the path of a package; connect-infra release build makes one",
        ) from None
    channel = connection.open_channel(["/bin/sh", "-c", RECEIVE])
    lines = _lines(channel)
    path = next(lines, "")
    digest = hashlib.sha256()
    sent = 0
    try:
        with content:
            while data := content.read(CHUNK):
                digest.update(data)
                channel.send(data)
                before, sent = sent, sent + len(data)
                if sent * STEPS // size > before * STEPS // size:
                    progress(f"upload: {sent * 100 // size} % of {size / 2**20:.1f} MiB")
        channel.finish()
        arrived = next(lines, "").split(" ")[0]
    except OSError:
        arrived = ""
    finally:
        channel.close()
    if arrived != digest.hexdigest():
        raise OperationError(
            expected=f"{file.name} to arrive whole in {path or '/tmp'}",
            found="another checksum" if arrived else "that the host took no more of it",
            where=connection.name,
            remedy="see whether its disk is full, and repeat",
        )
    try:
        yield path
    finally:
        connection.run('rm -f "$1"', path)


def fetched(connection: Connection, argv: list[str], take: Callable[[bytes], object]) -> int:
    """Hand over what a command prints that runs on the host as root; return its number of bytes.

    OperationError when the command fails or the connection ends before it.
    """
    mark = WHOLE.encode()
    channel = connection.open_channel(["/bin/sh", "-c", GIVE, WHOLE, *argv])
    kept, size = b"", 0
    try:
        channel.finish()
        while data := channel.receive():
            ready, kept = (kept + data)[: -len(mark)], (kept + data)[-len(mark) :]
            take(ready)
            size += len(ready)
    finally:
        channel.close()
    if kept != mark:
        raise OperationError(
            expected="everything to arrive",
            found=f"an end after {size} bytes",
            where=connection.name,
            remedy="look whether sudo works there and repeat",
        )
    return size


def _lines(channel: Channel) -> Iterator[str]:
    rest = b""
    while data := channel.receive():
        *lines, rest = (rest + data).split(b"\n")
        yield from (line.decode(errors="backslashreplace").rstrip("\r") for line in lines)
    if rest:
        yield rest.decode(errors="backslashreplace")
