"""Locust's master and workers: numbers and addresses for the workers, and none is lost unheard.

For locust's own processes only, as `loadtests.running`.
"""

from typing import Any

import gevent
from locust import events
from locust.env import Environment
from locust.rpc.protocol import Message
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

from connect_infra.errors import ConnectInfraError
from loadtests.crew import COMPLAINT, SOURCES, Crew, machine
from loadtests.plan import Plan
from loadtests.running import give_up, run
from loadtests.sources import client_addresses

LOOK_EVERY = 0.5
"""Seconds between the master's looks at whether its workers are there."""


def oversee(environment: Environment, master: MasterRunner) -> None:
    """Listen to the workers from now on, and watch them."""
    master.register_message(SOURCES, taken)
    master.register_message(COMPLAINT, complained)
    gevent.spawn(keep_watching, environment, master)


def enlist(environment: Environment, master: MasterRunner) -> None:
    """Number the workers, and tell each of them with locust's own options."""
    assert environment.parsed_options is not None
    assert run.plan is not None
    there = workers_there(master)
    run.write([{"kind": "workers", "there": len(there)}])
    run.crew = Crew(run.plan)
    run.crew.enlist(there)
    environment.parsed_options.crew = run.crew.workers


def with_own_sources(plan: Plan, worker: WorkerRunner) -> Plan:
    """The plan with client addresses of this machine, if its users are to come from those."""
    if not plan.remote:
        return plan
    taking = client_addresses(plan.address, plan.sources_each, lab=plan.lab)
    addresses = run.lasting.enter_context(taking)
    worker.send_message(SOURCES, {"addresses": addresses})
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
    elsewhere = run.plan is not None and run.plan.remote
    who = f"the worker on {machine(msg.node_id)}: " if elsewhere else ""
    give_up(environment, who + msg.data["why"])


def workers_there(master: MasterRunner) -> list[str]:
    """The workers from whom the master hears."""
    return [one.id for one in master.clients.all if one.state != STATE_MISSING]


def keep_watching(environment: Environment, master: MasterRunner) -> None:
    """Say how many workers are there before the run, and end it when one is lost."""
    told = -1
    while True:
        there = workers_there(master)
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
