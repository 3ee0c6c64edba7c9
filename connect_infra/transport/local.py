"""This machine itself as the host."""

import os
import subprocess

from connect_infra.errors import CommandTimedOut
from connect_infra.transport.base import Channel, Completed, Connection


class LocalConnection(Connection):
    """Commands are processes of this machine."""

    def execute(self, argv: list[str], stdin: bytes, timeout: float) -> Completed:
        """Run a command here."""
        if argv[:2] == ["sudo", "-n"] and os.geteuid() == 0:
            argv = argv[2:]
        try:
            done = subprocess.run(
                argv, input=stdin, capture_output=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise CommandTimedOut(
                expected=f"a command to end within {timeout:g} s",
                found="it still ran and was ended",
                where=self.name,
                remedy="look at this machine's load and disks",
            ) from None
        except FileNotFoundError as missing:
            return Completed(127, "", f"{argv[0]}: {missing.strerror}")
        decoded = (out.decode(errors="backslashreplace") for out in (done.stdout, done.stderr))
        return Completed(done.returncode, *decoded)

    def open_channel(self, argv: list[str]) -> Channel:
        """Start a command here."""
        return _ProcessChannel(
            subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )

    def again(self) -> Connection:
        """There is no login to make: another connection to this machine."""
        return LocalConnection(self.name)

    def close(self) -> None:
        """Nothing is held open."""


class _ProcessChannel(Channel):
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout

    def send(self, data: bytes) -> None:
        self._stdin.write(data)
        self._stdin.flush()

    def receive(self) -> bytes:
        return os.read(self._stdout.fileno(), 65536)

    def finish(self) -> None:
        self._stdin.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
