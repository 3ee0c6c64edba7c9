"""What every connection can do, whatever carries it."""

import json
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connect_infra.errors import CommandFailed, CommandTimedOut, SudoRefused
from connect_infra.transport.relay import RELAY, Channel, relayed

if TYPE_CHECKING:
    from testinfra.host import Host

DEFAULT_TIMEOUT = 60.0
"""Seconds that a command may take unless its caller says otherwise."""

GRACE = 5
"""Seconds between the host's asking a late command to end and its killing it."""

PUT = """
set -euC
umask 077
fresh="$1.connect-infra-new"
rm -f "$fresh"
trap 'rm -f "$fresh"' EXIT
cat > "$fresh"
arrived=$(wc -c < "$fresh")
[ "$arrived" -eq "$2" ] || { echo "$arrived of $2 bytes arrived" >&2; exit 1; }
chown "$4" "$fresh"
chmod "$3" "$fresh"
sync "$fresh"
mv -fT "$fresh" "$1"
sync "$(dirname "$1")"
"""
"""Arguments: path, size, mode, owner:group. A connection lost half-way leaves the old file."""

CALL = """
import json, os, sys
_answer = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
_call = json.loads(sys.stdin.buffer.read())
exec(compile(_call["source"], "<connect-infra>", "exec"))
json.dump(main(_call["payload"]), _answer)
"""
"""Whatever the source prints goes to standard error, so that the answer stays JSON."""


@dataclass(frozen=True)
class Completed:
    """A command that has ended: exit code and what it printed.

    Bytes that are no UTF-8 stand as backslash escapes: junk is an observation too.
    """

    code: int
    stdout: str
    stderr: str

    @classmethod
    def of(cls, code: int, stdout: bytes, stderr: bytes) -> "Completed":
        """Decode what was printed."""
        return cls(
            code, stdout.decode(errors="backslashreplace"), stderr.decode(errors="backslashreplace")
        )


class Connection(ABC):
    """One connection to one host, for the whole run; threads may share it.

    `round_trips` counts the commands that were sent, a stream's connections included.
    """

    def __init__(self, name: str, *, root: bool) -> None:
        """Name the host as messages shall; `root`: commands run as root without sudo."""
        self.name = name
        self.round_trips = 0
        self._root = root
        self._sudo_works = False
        self._counting = threading.Lock()

    @abstractmethod
    def execute(self, argv: list[str], stdin: bytes, timeout: float) -> Completed:
        """Run a command on the host; CommandTimedOut when it outlives `timeout` seconds."""

    @abstractmethod
    def open_channel(self, argv: list[str]) -> Channel:
        """Start a command on the host whose standard input and output carry bytes."""

    @abstractmethod
    def close(self) -> None:
        """End the connection."""

    @abstractmethod
    def again(self) -> "Connection":
        """Come in once more, by a fresh login; TransportError when that can't be done."""

    def __enter__(self) -> "Connection":
        """Use the connection in a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it at the block's end."""
        self.close()

    def testinfra(self) -> "Host":
        """A testinfra host over this same connection, for one-off checks in its vocabulary."""
        from connect_infra.transport.vocabulary import testinfra_host

        return testinfra_host(self)

    def run(
        self,
        script: str,
        *arguments: str,
        sudo: bool = False,
        stdin: bytes = b"",
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Completed:
        """Run a /bin/sh script; a secret belongs into `stdin`, never into script or arguments.

        CommandTimedOut after `timeout` seconds: the host then ends the script by itself.
        SudoRefused when sudo is missing or asks for a password; nothing has run then.
        """
        argv = ["/bin/sh", "-c", script, "sh", *arguments]
        return self._elevated(argv, sudo, stdin, timeout)

    def python(
        self, source: str, payload: object, *, sudo: bool = False, timeout: float = DEFAULT_TIMEOUT
    ) -> Any:
        """Run `main(payload)` of a Python source on the host; return its result, through JSON.

        Source and payload travel on standard input. CommandFailed when the host lacks Python, or
        the source ends with an error; otherwise as `run`.
        """
        stdin = json.dumps({"source": source, "payload": payload}).encode()
        done = self._elevated(["python3", "-I", "-c", CALL], sudo, stdin, timeout)
        if done.code == 127:
            raise self._failed("python3 on the host", done, "install python3 there")
        if done.code != 0:
            raise self._failed("Python 3 on the host to do its work", done, "see the message")
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            remedy = "see that the user's login shell prints nothing by itself"
            raise self._failed("an answer in JSON", done, remedy) from None

    def put(
        self, path: str, content: bytes, *, mode: int, owner: str = "root", group: str = "root"
    ) -> None:
        """Write a file as root: beside the old one, flushed, then renamed onto it.

        CommandFailed when that can't be done; the old file, if any, is as it was.
        """
        attributes = (str(len(content)), f"{mode:04o}", f"{owner}:{group}")
        done = self.run(PUT, path, *attributes, sudo=True, stdin=content)
        if done.code != 0:
            raise self._failed(f"{path} to be written", done, "mend that and repeat")

    @contextmanager
    def stream(self, port: int) -> Iterator[Path]:
        """A local unix socket whose connections lead to 127.0.0.1:`port` on the host.

        Its name is what PostgreSQL's clients look for in a directory: .s.PGSQL.<port>. Works where
        sshd forbids forwarding, because each connection is a command of its own. Over ssh, sshd's
        MaxSessions (10 unless configured) therefore limits how many are open at once; the next one
        waits a moment for a place and is then closed. Why a connection was closed is added as a
        note to the exception that leaves the block.
        """
        argv = ["python3", "-I", "-S", "-c", RELAY, str(port)]

        def opened() -> Channel:
            self._count()
            return self.open_channel(argv)

        with relayed(opened, port, self.name) as path:
            yield path

    def _elevated(self, argv: list[str], sudo: bool, stdin: bytes, timeout: float) -> Completed:
        self._count()
        limited = ["timeout", "-k", str(GRACE), str(math.ceil(timeout) + 1), *argv]
        if not sudo or self._root:
            return self.execute(limited, stdin, timeout)
        done = self.execute(["sudo", "-n", *limited], stdin, timeout)
        if done.code == 0:
            self._sudo_works = True
        elif not self._sudo_works:
            self._check_sudo()
        return done

    def _check_sudo(self) -> None:
        """Tell sudo's own failure from a script's, in whatever language the host speaks."""
        self._count()
        done = self.execute(["sudo", "-n", "/bin/sh", "-c", ":"], b"", DEFAULT_TIMEOUT)
        if done.code != 0:
            raise SudoRefused(
                expected="sudo without a password",
                found=_last_line(done),
                where=self.name,
                remedy="install sudo there, and allow this user everything with NOPASSWD in "
                "/etc/sudoers.d",
            )
        self._sudo_works = True

    def _count(self) -> None:
        with self._counting:
            self.round_trips += 1

    def _failed(self, expected: str, done: Completed, remedy: str) -> CommandFailed:
        return CommandFailed(
            expected=expected, found=_last_line(done), where=self.name, remedy=remedy
        )

    def _timed_out(self, timeout: float) -> CommandTimedOut:
        return CommandTimedOut(
            expected=f"a command to end within {timeout:g} s",
            found="it still ran and is being ended",
            where=self.name,
            remedy="look at the host's load and disks, and at what the command waits for",
        )


def _last_line(done: Completed) -> str:
    lines = done.stderr.strip().splitlines() or done.stdout.strip().splitlines()
    return lines[-1][:300] if lines else f"exit code {done.code} and no message"
