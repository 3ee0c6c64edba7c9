"""A disposable lab host on which drifts are made, looked at and undone."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from connect_infra.document import Expectation, Topology
from connect_infra.drift import steps
from connect_infra.drift.batches import Batch, Unit
from connect_infra.drift.verdicts import Record, Seen, judge
from connect_infra.drift.watch import look
from connect_infra.drift.ways import Drift
from connect_infra.errors import ConnectInfraError, LabError
from connect_infra.lab import Lab, LabHost
from connect_infra.targets import Target
from connect_infra.transport import Connection, connect

Progress = Callable[[str], None]

PATIENCE: Mapping[Topology, float] = {"native": 60.0, "containers": 150.0}
"""Seconds until all is green again when a batch was undone, else the host is thrown away: a target
that was down is scraped every 15 s, and PM2 takes as long to start its processes; containers are
healthy half a minute after they were started, and a replica may have to be made anew."""

PAUSE = 2.0


@dataclass(frozen=True)
class Specs:
    """The names of the specs by control, for controls that the lab asserts."""

    looking: Mapping[str, Sequence[str]]
    intrusive: Mapping[str, Sequence[str]]

    def all(self, control: str) -> tuple[str, ...]:
        """Every spec of a control."""
        return (*self.looking[control], *self.intrusive[control])


class DriftHost:
    """One host of a run. `replaced` counts how often it had to be booted anew."""

    def __init__(
        self,
        lab: Lab,
        snapshot: str,
        name: str,
        specs: Specs,
        expectations: Mapping[str, Expectation],
        progress: Progress,
        topology: Topology = "native",
    ) -> None:
        """Boot it from the snapshot, and wait until all specs are green there; LabError."""
        self.lab = lab
        self.snapshot = snapshot
        self.name = name
        self.specs = specs
        self.expectations = expectations
        self.progress = progress
        self.topology = topology
        self.replaced = 0
        self._boot()

    def _boot(self) -> None:
        left_over = self.lab.find(self.name)
        if left_over is not None:
            left_over.remove()
        self._host: LabHost = self.lab.up(self.name, self.snapshot, topology=self.topology)
        try:
            self._come_in()
        except BaseException:
            self._host.remove()
            raise

    def _come_in(self) -> None:
        self.target = self._host.target_name
        container = str(self._host.container.name)
        inside = Target(
            name=self.target, topology=self.topology, way="docker", host=container, lab=True
        )
        self._connection: Connection = connect(inside)
        red = self._still_red(self.specs.looking)
        if red:
            raise LabError(
                expected="a host whose specs are green before anything drifts",
                found="; ".join(f"{one.spec}: {one.result.message}" for one in red[:3]),
                where=self.target,
                remedy="run: connect-infra verify --target lab, and mend what it finds",
            )

    def remove(self) -> None:
        """Take the host away."""
        with suppress(ConnectInfraError):
            self._connection.close()
        self._host.remove()

    def try_out(self, batch: Batch) -> list[Record]:
        """Make a batch's drifts, look, and undo them; then the host is as before, or a new one."""
        try:
            problems = self._make(batch)
            seen, blind = self._look(batch)
        finally:
            wrong = self._undo(batch)
        if wrong:
            self.progress(f"{self.target} is not as before and is booted anew: {wrong}")
            self.replaced += 1
            self.remove()
            self._boot()
        return [
            judge(drift, problem or blind, seen)
            for drift, problem in zip(batch.drifts, problems, strict=True)
        ]

    def _make(self, batch: Batch) -> list[str]:
        """Make the drifts; for each, why the host does not have it, or nothing."""
        made = self._run((drift.way.make, drift) for drift in batch.drifts)
        late = {
            id(drift): said
            for unit, said in self._for_units(batch, "activate")
            for drift in unit.drifts
        }
        landed = self._run((drift.way.landed, drift) for drift in batch.drifts)
        problems = []
        for drift, first, last in zip(batch.drifts, made, landed, strict=True):
            stages = {
                "not made": first,
                "not activated": late.get(id(drift), first),
                "not seen on the host": last,
            }
            failed = [f"{what}: {said.said}" for what, said in stages.items() if not said.ok]
            problems.append(failed[0] if failed else "")
        return problems

    def _look(self, batch: Batch) -> tuple[tuple[Seen, ...], str]:
        """What the specs saw, or why they could not be run: the way in may have drifted too."""
        names = {name for unit in batch.units for name in unit.way.intrusive}
        known = self.specs.intrusive if names else self.specs.looking
        wanted = {drift.control: known.get(drift.control, ()) for drift in batch.drifts}
        try:
            return look(self.target, wanted, names), ""
        except ConnectInfraError as problem:
            return (), str(problem)

    def _undo(self, batch: Batch) -> str:
        """Undo the drifts; why the host is not as before, or nothing."""
        drifts = [drift for drift in reversed(batch.drifts) if drift.way.restore]
        undone = self._run((drift.way.restore, drift) for drift in drifts)
        wrong = [
            f"{drift.control}, {drift.name}: {said.said}"
            for drift, said in zip(drifts, undone, strict=True)
            if not said.ok
        ]
        settled = self._for_units(batch, "settle")
        wrong += [f"{unit.way.name}: {said.said}" for unit, said in settled if not said.ok]
        steps.run(self._connection, [steps.Step('rm -rf "$KEPT"', {})])
        if not wrong:
            touched = {
                name: specs
                for name, specs in self.specs.looking.items()
                if self.expectations[name].control.component in batch.touches
            }
            wrong = [f"{one.spec}: {one.result.message}" for one in self._still_red(touched)]
        return "; ".join(wrong[:3])

    def _still_red(self, specs: Mapping[str, Sequence[str]]) -> list[Seen]:
        """What is red when patience ends; who is green is not asked again."""
        end = time.monotonic() + PATIENCE[self.topology]
        while True:
            red = [one for one in look(self.target, specs) if one.red]
            if not red or time.monotonic() > end:
                return red
            specs = {name: specs[name] for name in {one.result.id for one in red}}
            time.sleep(PAUSE)

    def _for_units(self, batch: Batch, what: str) -> list[tuple[Unit, steps.Said]]:
        units = [unit for unit in batch.units if getattr(unit.way, what)]
        said = self._run((getattr(unit.way, what), unit.drifts[0]) for unit in units)
        return list(zip(units, said, strict=True))

    def _run(self, scripts: Iterable[tuple[str, Drift]]) -> list[steps.Said]:
        wanted = [steps.Step(script, self._variables(drift)) for script, drift in scripts]
        return steps.run(self._connection, wanted) if wanted else []

    def _variables(self, drift: Drift) -> dict[str, str]:
        expectation = self.expectations[drift.control]
        secret = expectation.control.type == "secret"
        return {
            "ID": drift.control,
            "KEY": expectation.key,
            "NAME": drift.control.removeprefix(f"{drift.component}."),
            "COMPONENT": drift.component,
            "EXPECTED": "" if secret else expectation.expected,
            "VALUE": drift.value,
        }
