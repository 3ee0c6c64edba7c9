"""What every connection can do, whatever carries it."""

import json
import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connect_infra.errors import CommandFailed, SudoRefused
from connect_infra.transport.relay import RELAY, relayed

DEFAULT_TIMEOUT = 60.0
"""Seconds that a command may take unless its caller says otherwise."""

PUT = """
umask 077
fresh="$1.connect-infra-new"
trap 'rm -f "$fresh"' EXIT
cat > "$fresh" && chown "$3" "$fresh" && chmod "$2" "$fresh" && sync "$fresh" && mv -f "$fresh" "$1"
"""


@dataclass(frozen=True)
class Completed:
    """A command that has ended: exit code and what it printed."""

    code: int
    stdout: str
    stderr: str


class Connection(ABC):
    """One connection to one host, for the whole run. `round_trips` counts what was sent."""

    def __init__(self, name: str) -> None:
        """Name the host as messages shall name it."""
        self.name = name
        self.round_trips = 0

    @abstractmethod
    def execute(self, argv: list[str], stdin: bytes, timeout: float) -> Completed:
        """Run a command on the host; CommandTimedOut when it outlives `timeout` seconds."""

    @abstractmethod
    def open_channel(self, argv: list[str]) -> "Channel":
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

    def testinfra(self) -> Any:
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

        SudoRefused when sudo is missing or asks for a password.
        """
        argv = ["/bin/sh", "-c", script, "sh", *arguments]
        return self._elevated(argv, sudo, stdin, timeout)

    def python(
        self, source: str, payload: object, *, sudo: bool = False, timeout: float = DEFAULT_TIMEOUT
    ) -> Any:
        """Run `main(payload)` of a Python source on the host; return its result, through JSON.

        Source and payload travel on standard input. CommandFailed when the host lacks Python or
        the source ends with an error.
        """
        program = "import sys,json;_c=json.loads(sys.stdin.buffer.read());exec(_c['source'])\n"
        program += "json.dump(main(_c['payload']),sys.stdout)"
        stdin = json.dumps({"source": source, "payload": payload}).encode()
        done = self._elevated(["python3", "-c", program], sudo, stdin, timeout)
        if done.code != 0:
            said = done.stderr.strip().splitlines() or [f"exit code {done.code}"]
            raise CommandFailed(
                expected="Python 3 on the host to do its work",
                found=said[-1],
                where=self.name,
                remedy="install python3 there, or read the message",
            )
        return json.loads(done.stdout)

    def put(self, path: str, content: bytes, *, mode: int, owner: str = "root:root") -> None:
        """Write a file as root: beside the old one, flushed, then renamed onto it."""
        done = self.run(PUT, path, f"{mode:o}", owner, sudo=True, stdin=content)
        if done.code != 0:
            raise CommandFailed(
                expected=f"{path} to be written",
                found=done.stderr.strip() or f"exit code {done.code}",
                where=self.name,
                remedy="mend that and repeat",
            )

    @contextmanager
    def stream(self, port: int) -> Iterator[Path]:
        """A local unix socket whose connections lead to 127.0.0.1:`port` on the host.

        Its name is what PostgreSQL's clients look for in a directory: .s.PGSQL.<port>. Works where
        sshd forbids forwarding: each connection is a command (sshd's MaxSessions: ten at once).
        """
        argv = ["python3", "-c", RELAY, str(port)]
        with relayed(lambda: self.open_channel(argv), port) as path:
            yield path

    def _elevated(self, argv: list[str], sudo: bool, stdin: bytes, timeout: float) -> Completed:
        self.round_trips += 1
        done = self.execute(["sudo", "-n", *argv] if sudo else argv, stdin, timeout)
        if sudo and done.code in (1, 127) and "sudo:" in done.stderr:
            raise SudoRefused(
                expected="sudo without a password",
                found=done.stderr.strip().splitlines()[-1],
                where=self.name,
                remedy="allow it in /etc/sudoers.d for this user",
            )
        return done


class Channel(ABC):
    """A running command's standard input and output, as bytes."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Send all of `data`."""

    @abstractmethod
    def receive(self) -> bytes:
        """Return what arrived next; empty at the end."""

    @abstractmethod
    def finish(self) -> None:
        """Say that nothing more will be sent."""

    @abstractmethod
    def close(self) -> None:
        """End the command."""


def command_line(argv: list[str]) -> str:
    """One quoted line for a remote shell."""
    return shlex.join(argv)
