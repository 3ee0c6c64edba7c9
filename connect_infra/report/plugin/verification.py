"""One run of specs against one target: what it holds the target against, and what came of it."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connect_infra import document
from connect_infra.document import Document
from connect_infra.errors import GuardError
from connect_infra.facts import MODULES
from connect_infra.facts.gather import Facts, RawFacts, gather
from connect_infra.report.plugin import RECORD
from connect_infra.report.plugin.gathering import gathered
from connect_infra.report.results import Result, Run, merge
from connect_infra.targets import (
    Secrets,
    Target,
    load_inventory,
    load_secrets,
    load_waivers,
)
from connect_infra.transport import Connection, connect


class Verification:
    """One run of specs against one target, in one process."""

    def __init__(self, config: pytest.Config) -> None:
        """Read the target's inventory entry, secrets and waivers; InventoryError if it can't be."""
        self.config = config
        inventory = config.getoption("--inventory")
        path = Path(inventory) if inventory else None
        self.target: Target = load_inventory(path).target(config.getoption("--target"))
        self.document: Document = document.load(self.target.topology)
        self.secrets: Secrets = load_secrets(self.target)
        today = datetime.now(UTC).date()
        self.waivers = load_waivers(self.target.waivers, self.document.controls, today)
        self.expectations = self.target.expectations(self.document)
        self.intrusive = bool(config.getoption("--intrusive"))
        if self.intrusive and not self.target.guards.intrusive:
            raise GuardError(
                expected="a target whose guards allow intrusive specs",
                found="intrusive = false",
                where=f"target {self.target.name}",
                remedy="leave out --intrusive, or set guards.intrusive in the inventory",
            )
        self.results: list[Result] = []
        self.troubles: list[str] = []
        """What went wrong outside of any control's verdict: collection, a worker, a bare test."""
        self.died: list[str] = []
        """The workers that ended by themselves, and why."""
        self.started = datetime.now(UTC)
        self.clock = time.perf_counter()
        self.round_trips_elsewhere = 0
        self._connection: Connection | None = None
        self._connecting = threading.Lock()
        self._facts: Facts | None = None

    @property
    def round_trips(self) -> int:
        """Round trips of this process' connection and of the workers'."""
        own = self._connection.round_trips if self._connection else 0
        return own + self.round_trips_elsewhere

    def connection(self) -> Connection:
        """Return this process' one connection to the target, made when first asked for."""
        with self._connecting:
            if self._connection is None:
                self._connection = connect(self.target)
            return self._connection

    def gather(self) -> RawFacts:
        """Read everything in one round trip. Raises TransportError."""
        return gather(self.connection(), self.secrets, MODULES[self.target.topology])

    @property
    def facts(self) -> Facts:
        """The target's facts, gathered once for the whole run."""
        if self._facts is None:
            self._facts = Facts.from_raw(gathered(self.config))
        return self._facts

    def close(self) -> None:
        """Close the connection, if there is one."""
        with self._connecting:
            if self._connection is not None:
                self._connection.close()

    def run(self) -> Run:
        """Return what is known so far as one run."""
        return Run(
            target=self.target.name,
            topology=self.target.topology,
            sizing=self.target.sizing,
            started=self.started.isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - self.clock, 3),
            round_trips=self.round_trips,
            controls=merge(self.results),
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what keeps specs from being collected."""
        if report.failed:
            self.troubles.append(f"{report.nodeid}: {report.longreprtext}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the verdict that a test's report carries."""
        carried = [value for name, value in report.user_properties if name == RECORD]
        if report.when == "call" or not report.passed:
            if report.failed and not carried:
                self.troubles.append(f"{report.nodeid}: {report.longreprtext}")
            self.results.extend(Result(**record) for record in carried[-1:])  # type: ignore[arg-type]

    def errata_in_force(self) -> list[str]:
        """Return the ids of the errata of the controls that were asserted."""
        asserted = [result.id for result in self.results]
        return [erratum.id for erratum in self.document.errata_in_force(asserted)]


_verification = pytest.StashKey[Verification]()


def begin(config: pytest.Config, verification: Verification) -> None:
    """Make this the run of specs that `config` belongs to."""
    config.stash[_verification] = verification
    config.pluginmanager.register(verification, "connect-infra-verification")


def verification_of(config: pytest.Config) -> Verification | None:
    """Return the run of specs that `config` belongs to; None where no specs were asked for."""
    return config.stash.get(_verification, None)
