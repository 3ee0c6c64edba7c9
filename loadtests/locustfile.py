"""The load as locust runs it: alone, or as master and workers over several machines.

`connect-infra load run` starts it. By hand, locust's web page and all its options work as ever:

    locust -f loadtests/locustfile.py --load smoke --target lab
    locust -f loadtests/locustfile.py --load smoke --target lab --headless
    locust -f loadtests/locustfile.py --worker --master-host ADDRESS

Users, rate and duration are the profile's; locust's own --users, --spawn-rate and --run-time do
nothing. Latencies that locust shows count from the intended start.
"""

import atexit
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import gevent
from locust import LoadTestShape, User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.rpc.protocol import Message
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

from connect_infra.errors import ConnectInfraError
from loadtests import accounts
from loadtests.crew import COMPLAINT, SOURCES, Crew, machine, number
from loadtests.generator import Generator, Guest
from loadtests.plan import Plan
from loadtests.process import PREFIX
from loadtests.recorder import Row
from loadtests.route import require_on_route
from loadtests.sources import client_addresses

USERS_A_SECOND = 2000
"""How fast users are made; they ask nothing before all are there."""

STATE_EVERY = 1.0
ROWS_EVERY = 5.0
"""Seconds between what a process says of itself, and of its requests."""

LOOK_EVERY = 0.5
"""Seconds between the master's looks at whether its workers are there."""

FLUSH = 1.0
"""Seconds that a last message to the master gets on its way."""

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


class Run:
    """What the users, the shape and the listeners of this process share."""

    def __init__(self) -> None:
        """Before the test starts nothing is known."""
        self.plan: Plan | None = None
        self.generator: Generator | None = None
        self.crew: Crew | None = None
        self.lasting = ExitStack()
        self.begun = False
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

    def report(self, *, ended: bool = False) -> list[Row]:
        """Everything new that this process has to tell; `ended`: and it will make no more."""
        if self.generator is None:
            return []
        rows = self.generator.report()
        self.states["here"] = rows[0]
        if ended or self.over():
            rows.append({"kind": "end", "requests": self.generator.recorder.ended})
        return rows


run = Run()
atexit.register(run.lasting.close)


class Visitor(User):
    """One of Connect's users."""

    guest: Guest

    def on_start(self) -> None:
        """Join the others."""
        assert run.generator is not None
        self.guest = run.generator.join()

    def on_stop(self) -> None:
        """Hang up."""
        self.guest.leave()

    @task
    def visit(self) -> None:
        """Wait for the next moment, ask, and tell locust too."""
        outcome = self.guest.visit()
        if outcome is None:
            return
        name, seconds, size, error = outcome
        self.environment.events.request.fire(
            request_type="ask",
            name=name,
            response_time=seconds * 1000,
            response_length=size,
            exception=RuntimeError(error) if error else None,
            context={},
        )


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
        runner.register_message(SOURCES, taken)
        runner.register_message(COMPLAINT, complained)
        gevent.spawn(keep_watching, environment)


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


@events.test_start.add_listener
def begin(environment: Environment, **_: Any) -> None:
    """Make this process' users; the master has none, but numbers its workers."""
    run.states = {}
    run.begun = False
    run.lasting.close()
    try:
        if isinstance(environment.runner, MasterRunner):
            enlist(environment, environment.runner)
        else:
            make_generator(environment)
    except (ConnectInfraError, OSError) as problem:
        give_up(environment, str(problem))


def enlist(environment: Environment, runner: MasterRunner) -> None:
    """Number the workers, and tell each of them with locust's own options."""
    assert environment.parsed_options is not None
    assert run.plan is not None
    run.crew = Crew(run.plan)
    run.crew.enlist(workers_there(runner))
    environment.parsed_options.crew = run.crew.workers


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
    run.generator = Generator(plan, index, accounts.password(lab=plan.lab))
    run.generator.prepare()
    if not isinstance(runner, WorkerRunner):
        gevent.spawn(keep_writing)


def with_own_sources(plan: Plan, runner: WorkerRunner) -> Plan:
    """The plan with client addresses of this machine, if its users are to come from those."""
    if not plan.remote:
        return plan
    taking = client_addresses(plan.address, plan.sources_each, lab=plan.lab)
    addresses = run.lasting.enter_context(taking)
    runner.send_message(SOURCES, {"addresses": addresses})
    return plan.model_copy(update={"sources": addresses})


def taken(environment: Environment, msg: Message, **_: Any) -> None:
    """The master hears which addresses a worker has, before it lets the users go."""
    addresses = msg.data["addresses"]
    run.write([{"kind": "sources", "worker": msg.node_id, "addresses": addresses}])
    try:
        if run.crew is not None:
            run.crew.take_sources(msg.node_id, addresses)
    except ConnectInfraError as problem:
        give_up(environment, str(problem))


def complained(environment: Environment, msg: Message, **_: Any) -> None:
    """The master hears why a worker gives up, and so does whoever started the run."""
    give_up(environment, f"the worker on {machine(msg.node_id)}: {msg.data['why']}")


def workers_there(runner: MasterRunner) -> list[str]:
    """The workers from whom the master hears."""
    return [one.id for one in runner.clients.all if one.state != STATE_MISSING]


def keep_watching(environment: Environment) -> None:
    """Say how many workers are there before the run, and end it when one is lost."""
    runner = environment.runner
    assert isinstance(runner, MasterRunner)
    told = -1
    while True:
        there = workers_there(runner)
        if run.crew is None and len(there) != told:
            told = len(there)
            run.write([{"kind": "workers", "there": told}])
        if run.crew is not None and (lost := run.crew.lost(there)):
            run.crew = None
            give_up(environment, lost)
        gevent.sleep(LOOK_EVERY)


@events.test_stopping.add_listener
def dismiss(environment: Environment, **_: Any) -> None:
    """Workers may go now; but locust stops by itself when the last one is lost."""
    crew, run.crew = run.crew, None
    if crew is not None and isinstance(environment.runner, MasterRunner):
        lost = crew.lost(workers_there(environment.runner))
        if lost:
            give_up(environment, lost)


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
    """The last rows of a process without workers; a worker's addresses go."""
    if run.generator is not None and not isinstance(environment.runner, WorkerRunner):
        run.write(run.report(ended=True))
        run.generator = None
    run.lasting.close()
