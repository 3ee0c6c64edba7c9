"""The load as locust runs it: alone, or as master and workers over several machines.

`connect-infra load run` starts it. By hand, locust's web page and all its options work as ever:

    locust -f loadtests/locustfile.py --load smoke --target lab
    locust -f loadtests/locustfile.py --load smoke --target lab --headless
    locust -f loadtests/locustfile.py --worker --master-host ADDRESS

Users, rate and duration are the profile's; locust's own --users, --spawn-rate and --run-time do
nothing. Latencies that locust shows count from the intended start.
"""

import os
import resource
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import gevent
from gevent import Greenlet
from gevent.pool import Group
from locust import LoadTestShape, User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from connect_infra.errors import ConnectInfraError
from loadtests import accounts
from loadtests.crew import number
from loadtests.distributed import enlist, oversee, with_own_sources
from loadtests.generator import Generator, Guest
from loadtests.plan import Plan
from loadtests.route import require_on_route
from loadtests.running import give_up, leave, run, to_file

USERS_A_SECOND = 2000
"""How fast users are made; they ask nothing before all are there."""

STATE_EVERY = 1.0
ROWS_EVERY = 5.0
"""Seconds between what a process says of itself, and of its requests."""

PRIORITY = -10
"""The nice value of a generator, where it may have one."""

PARENT = os.getppid()
"""Who started the run: when it is gone, nobody wants the load any more."""

# Locust raises the soft limit to 10,000 only; every user needs a file of its own.
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

# All start at one moment: the master waits until every worker has all its users.
os.environ.setdefault("LOCUST_WAIT_FOR_WORKERS_REPORT_AFTER_RAMP_UP", "60")

# A generator that waits for a processor is late, and blames the site; root may go first.
with suppress(OSError):
    os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    # Where sessions are scheduled as groups, the nice value of ours counts (sched(7)).
    Path("/proc/self/autogroup").write_text(str(PRIORITY), encoding="ascii")


class Visitor(User):
    """One of Connect's users."""

    guest: Guest

    def start(self, group: Group) -> Greenlet:
        """Join the others. Locust counts greenlets: this one is counted and never runs."""
        assert run.generator is not None
        self.guest = run.generator.join()
        self._group = group
        self._greenlet = Greenlet(User.run, self)
        group.add(self._greenlet)
        return self._greenlet

    def stop(self, force: bool = False) -> bool:
        """Hang up."""
        self.guest.leave()
        self._group.killone(self._greenlet)
        return True

    @task
    def ask(self) -> None:
        """Do nothing: what is asked and when is the plan's. Locust's page shows a user's tasks."""


class Schedule(LoadTestShape):
    """All users at once, until the plan is fulfilled."""

    def tick(self) -> tuple[int, float] | None:
        """The number of users wanted now; None ends the run."""
        if run.over() or os.getppid() != PARENT:
            return None
        assert run.plan is not None
        return run.plan.profile.users, USERS_A_SECOND


@events.init_command_line_parser.add_listener
def options(parser: LocustArgumentParser, **_: Any) -> None:
    """Add what this file needs to locust's options."""
    group = parser.add_argument_group("connect-infra")
    group.add_argument("--load", default="", help="a profile: smoke, documented, …")
    group.add_argument("--target", default="lab", help="a target of the inventory that allows load")
    group.add_argument("--plan", default="", help="a plan's file, instead of profile and target")
    group.add_argument("--rows", default="", help="a file that gets the results, line by line")


@events.init.add_listener
def initialise(environment: Environment, **_: Any) -> None:
    """Read or make the plan, and say where results go."""
    chosen = environment.parsed_options
    runner = environment.runner
    assert chosen is not None
    assert runner is not None
    # Locust's own handler is referred to by nothing, and so gone with the first garbage.
    run.on_sigterm = gevent.signal_handler(signal.SIGTERM, leave, environment)
    if isinstance(runner, WorkerRunner):
        return
    try:
        if chosen.plan:
            chosen.plan = Path(chosen.plan).read_text(encoding="utf-8")
        else:
            # Imported here because what it needs takes 30 MB.
            from loadtests.planning import planned_by_hand

            workers = chosen.expect_workers if isinstance(runner, MasterRunner) else 0
            chosen.plan = planned_by_hand(chosen.load, chosen.target, workers).model_dump_json()
        run.plan = Plan.parse(chosen.plan)
    except ConnectInfraError as problem:
        give_up(environment, str(problem))
        return
    if chosen.rows:
        run.write = to_file(environment, Path(chosen.rows))
    if isinstance(runner, MasterRunner):
        oversee(environment, runner)


@events.test_start.add_listener
def begin(environment: Environment, **_: Any) -> None:
    """Make this process' users; the master has none, but numbers its workers."""
    run.states = {}
    run.begun = run.stopped = False
    run.lasting.close()
    try:
        if isinstance(environment.runner, MasterRunner):
            enlist(environment, environment.runner)
        else:
            make_generator(environment)
    except (ConnectInfraError, OSError) as problem:
        give_up(environment, str(problem))


def make_generator(environment: Environment) -> None:
    """Make ready all that this process' users share."""
    chosen, runner = environment.parsed_options, environment.runner
    assert chosen is not None
    plan, index = Plan.parse(chosen.plan), 0  # a worker has it only now
    require_on_route(plan)
    if isinstance(runner, WorkerRunner):
        index = number(runner.client_id, chosen.crew)
        plan = with_own_sources(plan, runner)
    run.plan = plan
    told = partial(tell, environment)
    run.generator = Generator(plan, index, accounts.password(lab=plan.lab), told)
    run.generator.prepare()
    if not isinstance(runner, WorkerRunner):
        gevent.spawn(keep_writing)


def tell(environment: Any, name: str, seconds: float, size: int, error: str) -> None:
    """Let locust know of a request."""
    environment.events.request.fire(
        request_type="ask",
        name=name,
        response_time=seconds * 1000,
        response_length=size,
        exception=RuntimeError(error) if error else None,
        context={},
    )


@events.spawning_complete.add_listener
def go(**_: Any) -> None:
    """All users are there."""
    if run.begun:
        return
    run.begun = True
    run.write([{"kind": "begun", "at": time.time()}])
    if run.generator is not None:
        run.generator.begin()


def keep_writing() -> None:
    """Tell the state each second, and the requests each five."""
    generator = run.generator
    assert generator is not None
    beat = 0
    while run.generator is generator:
        beat += 1
        full = beat * STATE_EVERY % ROWS_EVERY == 0
        run.states["here"] = generator.state()
        run.write(run.report() if full else [run.states["here"]])
        gevent.sleep(STATE_EVERY)


@events.report_to_master.add_listener
def report(data: dict[str, Any], **_: Any) -> None:
    """A worker's rows travel with locust's own report, every three seconds."""
    data["connect"] = run.report()


@events.worker_report.add_listener
def reported(client_id: str, data: dict[str, Any], **_: Any) -> None:
    """The master writes what its workers report."""
    rows = [row | {"worker": client_id} for row in data.get("connect", [])]
    for row in rows:
        if row["kind"] == "state":
            run.states[client_id] = row
    run.write(rows)


@events.test_stop.add_listener
def finish(environment: Environment, **_: Any) -> None:
    """The last rows of a process without workers; a worker has sent users home, addresses go."""
    run.stopped = True
    if run.generator is not None:
        run.generator.end()
    if not isinstance(environment.runner, WorkerRunner):
        run.write(run.report())
        run.generator = None
    run.lasting.close()
