"""What the parts of one locust process share.

For locust's own processes only: locust patches the standard library when it is imported.
"""

import atexit
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import gevent
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtests.crew import COMPLAINT, Crew
from loadtests.generator import Generator
from loadtests.plan import Plan
from loadtests.process import PREFIX
from loadtests.recorder import Row

FLUSH = 1.0
"""Seconds that a last message to the master gets on its way."""


class Run:
    """What the users, the shape and the listeners of this process share."""

    def __init__(self) -> None:
        """Before the test starts nothing is known."""
        self.plan: Plan | None = None
        self.generator: Generator | None = None
        self.crew: Crew | None = None
        self.lasting = ExitStack()
        self.begun = False
        self.stopped = False
        self.states: dict[str, Row] = {}
        self.on_sigterm: object = None
        self.write: Callable[[list[Row]], None] = lambda rows: None  # a worker reports instead

    def over(self) -> bool:
        """Whether all requests of all processes are due and have ended, or had the time to."""
        if self.plan is None or not self.states:
            return False
        profile = self.plan.profile
        past = min(row["at"] for row in self.states.values()) - profile.duration
        waiting = any(row["in_flight"] for row in self.states.values())
        return past > profile.timeout + 1 or (past > 0.5 and not waiting)

    def report(self) -> list[Row]:
        """Everything new that this process has to tell, and whether that is all."""
        if self.generator is None:
            return []
        rows = self.generator.report()
        self.states["here"] = rows[0]
        if self.stopped or self.over():
            rows.append({"kind": "end", "requests": self.generator.recorder.ended})
        return rows


run = Run()
atexit.register(run.lasting.close)


def to_file(environment: Environment, path: Path) -> Callable[[list[Row]], None]:
    """Rows are appended to a file at once; what can't be written ends the run."""
    file = path.open("a", encoding="utf-8")

    def write(rows: list[Row]) -> None:
        try:
            file.writelines(json.dumps(row) + "\n" for row in rows)
            file.flush()
        except OSError as problem:
            give_up(environment, f"results can't be written: {problem.strerror}")

    return write


def give_up(environment: Environment, why: str) -> None:
    """Say why, to the master too, and end the process; what was written stays."""
    with suppress(OSError):  # the log may lie on the same full disk
        print(PREFIX + why, file=sys.stderr, flush=True)
    environment.process_exit_code = 2
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        gevent.spawn(leave, environment)
        return
    if isinstance(runner, WorkerRunner):
        runner.send_message(COMPLAINT, {"why": why})
        gevent.sleep(FLUSH)
    sys.exit(2)


def leave(environment: Environment) -> None:
    """End the process in order, a master's workers with it."""
    runner = environment.runner
    assert runner is not None
    runner.quit()
    if isinstance(runner, MasterRunner):
        # One that still waits for workers, or has a web page, does not end by itself.
        sys.exit(environment.process_exit_code or 0)
