"""Locust as a process of its own: it patches the standard library, so it shares none with us."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from connect_infra.errors import LoadError

PREFIX = "connect-load: "
"""What begins a line in the log that is meant for who started the run."""

LOCUSTFILE = Path(__file__).with_name("locustfile.py")

PATIENCE = 20.0
"""Seconds that a process gets to end in order, with its last rows, before it is killed."""

REMOTE_PORT = 5557
"""Where locust's workers look for their master."""

REMOTE_WAIT = 360
"""Seconds that the master waits for workers on other machines; who started it waits less."""


class Locust:
    """One locust that makes all the load, or a master with workers here or elsewhere."""

    def __init__(
        self,
        plan: Path,
        rows: Path,
        log: Path,
        *,
        workers: int,
        remote: bool,
        port: int = REMOTE_PORT,
    ) -> None:
        """`workers` = 0: one process. `remote`: the workers come from other machines, to `port`."""
        self._plan = plan
        self._rows = rows
        self._log = log.open("w", encoding="utf-8")
        self._log_path = log
        self._workers = workers
        self._remote = remote
        self._port = port if remote else 5560 + os.getpid() % 400
        self._main: subprocess.Popen[bytes] | None = None
        self._others: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        """Start; LoadError when the workers could not reach their master."""
        if self._workers:
            _require_free(self._port)
        arguments = ["--headless", "--only-summary", f"--plan={self._plan}", f"--rows={self._rows}"]
        if self._workers:
            arguments += ["--master", f"--master-bind-port={self._port}"]
            arguments += [f"--expect-workers={self._workers}"]
            arguments += [f"--expect-workers-max-wait={REMOTE_WAIT}"]
            arguments += [] if self._remote else ["--master-bind-host=127.0.0.1"]
        self._main = self._started(arguments)
        if not self._remote:
            worker = ["--worker", "--master-host=127.0.0.1", f"--master-port={self._port}"]
            self._others = [self._started(worker) for _ in range(self._workers)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        """End all that still runs, in order if it can be."""
        self.stop()
        self._log.close()

    @property
    def running(self) -> bool:
        """Whether the process that writes the results is alive."""
        return self._main is not None and self._main.poll() is None

    def dead_workers(self) -> int:
        """Workers of this machine that ended while the master went on."""
        return sum(one.poll() is not None for one in self._others) if self.running else 0

    def worker_ids(self) -> list[int]:
        """The process ids of the workers on this machine."""
        return [one.pid for one in self._others]

    def stop(self) -> None:
        """Ask the processes to end, and kill those that don't."""
        for one in [self._main, *self._others]:
            if one is not None and one.poll() is None:
                one.send_signal(signal.SIGTERM)
                _await(one)

    def complaints(self) -> list[str]:
        """What the processes had to say to who started the run."""
        lines = self._log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        return list(dict.fromkeys(one[len(PREFIX) :] for one in lines if one.startswith(PREFIX)))

    def exit_code(self) -> int | None:
        """How the process that writes the results ended."""
        return self._main.poll() if self._main else None

    def _started(self, arguments: list[str]) -> "subprocess.Popen[bytes]":
        # A session of its own: Ctrl-C reaches us alone, and we end locust in order.
        return subprocess.Popen(
            [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(LOCUSTFILE.parents[1])},
        )


def _require_free(port: int) -> None:
    try:
        socket.create_server(("", port)).close()
    except OSError as problem:
        raise LoadError(
            expected=f"port {port} to be free for the workers",
            found=str(problem.strerror).lower(),
            where="this machine",
            remedy="wait for the end of the other run, or end what listens there",
        ) from problem


def _await(process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    if process.poll() is None:
        process.kill()
        process.wait()
