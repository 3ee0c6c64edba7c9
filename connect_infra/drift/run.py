"""The run: all batches, on several hosts at once, and the report of what became of them."""

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from connect_infra import document
from connect_infra.document import Expectation, Topology
from connect_infra.drift.batches import Batch, batches
from connect_infra.drift.host import DriftHost, Progress, Specs
from connect_infra.drift.verdicts import Record, Report
from connect_infra.drift.ways import Drifts
from connect_infra.lab import Lab
from connect_infra.lab.hosts import MEMORY_BYTES
from connect_infra.report.collection import collected


def run(
    lab: Lab,
    snapshot: str,
    drifts: Drifts,
    *,
    hosts: int,
    progress: Progress,
    seed: int | None = None,
    topology: Topology = "native",
) -> Report:
    """Try out all drifts on `hosts` hosts that are booted from `snapshot`, and remove these.

    Interrupted, it removes them as well. Raises LabError when a host can't be used, and what else
    ended the work on a host.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    expectations = document.load(topology).on("scaled", MEMORY_BYTES, lab=True)
    specs = lab_specs(expectations)
    work = batches(drifts.drifts)
    crew = _Crew(lab, snapshot, topology, specs, expectations, progress, work)
    crew.work(min(hosts, len(work)))
    records = [*crew.records]
    records += [
        Record(name, "none", "", "impossible", "", reason)
        for name, reason in drifts.impossible.items()
    ]
    order = {name: place for place, name in enumerate(expectations)}
    tried = {record.id for record in records if record.kind != "harmless"}
    return Report(
        target="lab" if topology == "native" else f"lab-{topology}",
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 1),
        hosts=min(hosts, len(work)),
        replaced=crew.replaced,
        seed=seed,
        specs={name: specs.all(name) for name in specs.looking if name in tried},
        spared=drifts.spared,
        records=tuple(sorted(records, key=lambda record: order[record.id])),
    )


def lab_specs(expectations: Mapping[str, Expectation]) -> Specs:
    """The specs of the controls that the lab asserts."""
    everything, looking = collected(), collected("-m", "not intrusive")
    asserted = [name for name, one in expectations.items() if one.applicable and name in everything]
    return Specs(
        {name: looking.get(name, []) for name in asserted},
        {name: sorted({*everything[name]} - {*looking.get(name, [])}) for name in asserted},
    )


@dataclass
class _Crew:
    """The threads of a run: one a host, each taking the next batch."""

    lab: Lab
    snapshot: str
    topology: Topology
    specs: Specs
    expectations: Mapping[str, Expectation]
    progress: Progress
    batches: Sequence[Batch]

    def __post_init__(self) -> None:
        self.records: list[Record] = []
        self.replaced = 0
        self._waiting: queue.SimpleQueue[tuple[int, Batch]] = queue.SimpleQueue()
        for numbered in enumerate(self.batches, 1):
            self._waiting.put(numbered)
        self._stop = threading.Event()
        self._troubles: list[BaseException] = []

    def work(self, hosts: int) -> None:
        """Do all batches; raise what ended a thread."""
        names = [f"drift-{number}" for number in range(1, hosts + 1)]
        threads = [threading.Thread(target=self._serve, args=(name,)) for name in names]
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                threads[0].join(0.2)
                time.sleep(0.1)
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
        if self._troubles:
            raise self._troubles[0]

    def _serve(self, name: str) -> None:
        try:
            host = DriftHost(
                self.lab,
                self.snapshot,
                name,
                self.specs,
                self.expectations,
                self.progress,
                self.topology,
            )
            try:
                self._all_batches(host)
            finally:
                self.replaced += host.replaced
                host.remove()
        except BaseException as problem:
            self._troubles.append(problem)
            self._stop.set()

    def _all_batches(self, host: DriftHost) -> None:
        while not self._stop.is_set():
            try:
                number, batch = self._waiting.get_nowait()
            except queue.Empty:
                return
            clock = time.monotonic()
            found = host.try_out(batch)
            self.records += found
            self.progress(
                f"batch {number} of {len(self.batches)} on {host.target}: "
                f"{_told(found)}, {time.monotonic() - clock:.0f} s"
            )


def _told(records: Sequence[Record]) -> str:
    bad = [one for one in records if one.verdict in {"survived", "void", "alarm"}]
    good = f"{len(records) - len(bad)} as they must be"
    return "; ".join(
        [good, *(f"{one.verdict} {one.id}, {one.drift}: {one.message}" for one in bad)]
    )
