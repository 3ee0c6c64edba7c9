"""What the master knows of its workers, and what they say to it beyond locust's own messages."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from connect_infra.errors import LoadError
from loadtests.plan import Plan

SOURCES = "connect-sources"
"""A worker's message: the client addresses that it has taken."""

COMPLAINT = "connect-complaint"
"""A worker's message: why it can't make its part of the load."""


def machine(worker: str) -> str:
    """The host name of a worker: locust's ids are that and a random number."""
    return worker.rpartition("_")[0] or worker


@dataclass
class Crew:
    """The workers of one run, in the order of their numbers."""

    plan: Plan
    workers: tuple[str, ...] = ()
    sources: dict[str, Sequence[str]] = field(default_factory=dict)

    def enlist(self, there: Collection[str]) -> None:
        """Number the workers that are there; LoadError when the plan wants another number.

        Locust's own numbers have gaps when a worker has gone before the run.
        """
        if len(there) != self.plan.workers:
            raise LoadError(
                expected=f"{self.plan.workers} workers",
                found=f"{len(there)}: on {', '.join(sorted(map(machine, there)))}",
                where="the run's master",
                remedy="start as many as --workers says, and look for old ones that still run",
            )
        self.workers = tuple(sorted(there))

    def take_sources(self, worker: str, addresses: Sequence[str]) -> None:
        """Note a worker's addresses; LoadError when all so far are too few for the load."""
        self.sources[worker] = addresses
        self.plan.require_sources(list(self.sources.values()))

    def lost(self, there: Collection[str]) -> str:
        """Which workers have gone since the run began, in words; empty when none has."""
        gone = sorted(machine(one) for one in self.workers if one not in there)
        return f"lost the worker on {' and on '.join(gone)} before the run's end" if gone else ""


def number(worker: str, workers: Sequence[str]) -> int:
    """A worker's number, from 0 on; LoadError when it was not there when the run began."""
    if worker not in workers:
        raise LoadError(
            expected="a worker that was there when the run began",
            found="one that came later",
            where=machine(worker),
            remedy="start it before the next run",
        )
    return workers.index(worker)
