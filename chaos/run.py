"""One drill, from the steady state and back: guard, work, break, watch, heal, read, judge."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from chaos import final_read, machine, steady
from chaos.alerts import AlertWatch
from chaos.assess import Course, assess
from chaos.drills import Drill
from chaos.faults import BEFORE, PRELUDE, Fault
from chaos.host import Host
from chaos.journal import Journal, Status, save
from chaos.lease import Lease
from chaos.objectives import WINDOW, Cycle
from chaos.record import Story
from chaos.timeline import Slot, recovered_at
from chaos.users import LIMIT
from chaos.workload import Names, Workload
from connect_infra.errors import CommandFailed, ConnectInfraError
from connect_infra.targets import Target
from connect_infra.web import Site

Progress = Callable[[str], None]

NOTICE = 2.0
"""Seconds after which an operator begins to mend what is broken."""

HAPPENED_WITHIN = 10.0
"""Seconds within which a fault must be seen on the host."""

INJECT_LIMIT = 180.0
"""Seconds that making a fault may take; a deployment is the slowest."""

RESTORED_WITHIN = 60.0
"""Seconds after the healing within which the host must be in its steady state again."""

STEADY_WITHIN = 90.0
"""Seconds that a host may take to be steady before a drill; alerts of the last one clear slowly."""

TTL = 40.0
"""Seconds without the controller after which the watchdog heals; longer than a lab host boots."""

LOOK_EVERY = 5.0
"""Seconds between looks at the stop conditions."""

CROWD_SHARE = 0.9
"""The part of the crowd's requests that must really have been sent."""

TICK = 0.2


class Stopped(Exception):
    """Raised when a stop condition ends a drill before its time; the message says which."""


class NotDone(Exception):
    """Raised when a procedure (deploy, roll back) does not do what it is for: it has missed."""


def run(target: Target, drill: Drill, home: Path, progress: Progress) -> Journal:
    """Run one drill; its journal and histories are kept in a directory of its own below `home`.

    The caller has asked `guards.require`. ConnectInfraError when the drill could not begin; from
    the first fault on, whatever happens is in the journal.
    """
    started = datetime.now(UTC)
    folder = home / f"{started:%Y%m%dT%H%M%SZ}-{drill.name}"
    folder.mkdir(parents=True)
    journal = _Run(target, drill, folder, progress).journal(started)
    save(journal, folder / "journal.json")
    return journal


class _Run:
    """The state of one drill while it runs."""

    def __init__(self, target: Target, drill: Drill, folder: Path, progress: Progress) -> None:
        self.target = target
        self.drill = drill
        self.folder = folder
        self.host = Host(target)
        self.site = Site(target)
        self.faults = drill.faults()
        self.cycles: list[Cycle] = []
        self.since: dict[str, int] = {}
        self.healed_at: float | None = None
        self.restored = False
        self.story = Story(progress)
        self.time_limit = 0.0
        self.looked = 0.0

    def journal(self, started: datetime) -> Journal:
        """Run it, and say what became of it."""
        begun = time.monotonic()
        self.version = steady.await_steady(self.host, self.site, STEADY_WITHIN)
        names = Names.fresh(int(self.host.answer("date +%s%3N")))
        self.work = Workload(self.site, self.folder, names, self.drill.crowd)
        status = self._under_lease()
        findings, unread = final_read.findings(self.host, self.work)
        if unread:
            self.story.tell("unread", unread)
        return assess(
            Course(
                drill=self.drill,
                target=self.target.name,
                started=started.isoformat(timespec="seconds"),
                seconds=round(time.monotonic() - begun, 1),
                status=status,
                restored=self.restored,
                cycles=self.cycles,
                healed_at=self.healed_at,
                streams=self.work.streams,
                findings=findings,
                alerts=self.alerts,
                story=self.story,
            )
        )

    def _under_lease(self) -> Status:
        """Break and heal the host; the watchdog on it does so too should this process die."""
        self.alerts = AlertWatch(self.host, self.story.tell)
        status: Status = "completed"
        try:
            with Lease(self.host, TTL) as self.lease:
                try:
                    self._arm_and_prepare()
                    with self.work:
                        self.story.begin()
                        with self.alerts:
                            self._break_and_watch()
                except Stopped as problem:
                    status = "aborted"
                    self.story.tell("aborted", str(problem))
                except KeyboardInterrupt:
                    status = "interrupted"
                    self.story.tell("aborted", "interrupted from the keyboard")
                except ConnectInfraError as problem:
                    status = "aborted"
                    self.story.tell("aborted", str(problem))
                self._restore()
        except ConnectInfraError as problem:
            if not self.story.events:
                raise
            self.restored = False
            self.story.tell("unrestored", str(problem))
        return status

    def _arm_and_prepare(self) -> None:
        self.story.note("the host is ours; putting the undo on its disk")
        for fault in self.faults:
            self.lease.arm(PRELUDE + fault.undo)
        self.story.note("the undo is on the host's disk")
        for fault in self.faults:
            if fault.prepare != ":":
                self.story.note("preparing the host")
                self.host.answer(PRELUDE + fault.prepare, timeout=120.0)
        self.served = steady.await_steady(self.host, self.site, STEADY_WITHIN)
        self.work.expect([self.served])

    def _break_and_watch(self) -> None:
        self.time_limit = time.monotonic() + self.drill.before + self.drill.repeat * (
            self.drill.hold + self.drill.limit + HAPPENED_WITHIN
        ) + RESTORED_WITHIN  # fmt: skip
        self._watch_for(self.drill.before)
        self._require_good_work()
        for turn in range(self.drill.repeat):
            self._fault(turn)
            if self.drill.hold:
                self._watch_for(self.drill.hold)
                self._heal()
            if self.drill.recovery:
                self._watch_for(NOTICE)
                self._mend()
            self._await_recovery(WINDOW if turn == self.drill.repeat - 1 else 0.5)
        self._await_clear()
        # What is under way now ends within its limit, and must be seen to end well.
        self._watch_for(LIMIT)
        self._require_crowd()

    def _require_crowd(self) -> None:
        """Stopped when there were fewer others than the drill is about."""
        crowd = self.work.crowd
        if crowd is None:
            return
        sent = len(crowd.slots) / (time.monotonic() - self.story.begun)
        self.story.note(f"the crowd sent {sent:.0f} requests a second")
        if sent < CROWD_SHARE / crowd.interval:
            raise Stopped(
                f"the crowd sent {sent:.0f} requests a second, not {1 / crowd.interval:.0f}"
            )

    def _require_good_work(self) -> None:
        for stream in self.work.streams:
            bad = [slot for slot in list(stream.slots) if slot.state == "bad"]
            if bad or not any(slot.state == "ok" for slot in list(stream.slots)):
                why = bad[0].why if bad else "no probe came to an end"
                raise Stopped(f"{stream.name} failed before the fault was made: {why}")

    def _fault(self, turn: int) -> None:
        nth = f" {turn + 1} of {self.drill.repeat}" if self.drill.repeat > 1 else ""
        self.story.tell("fault", f"fault{nth}: {self.drill.title}")
        # Looking through a whole long drill five times a second would hold the prober up.
        self.since = {one.name: len(one.slots) for one in self.work.streams}
        after = {self.version if one.version == BEFORE else one.version for one in self.faults}
        after = after - {""} or {self.served}
        self.work.expect({self.served} | after)
        begun = time.monotonic()
        try:
            for fault in self.faults:
                self._make(fault)
        except NotDone as problem:
            self.cycles.append(Cycle(begun, None))
            self.story.tell("failed", str(problem))
            return
        verified = time.monotonic()
        self.work.expect(after)
        self.cycles.append(Cycle(begun, verified))
        self.story.tell("verified", f"it is there, {verified - begun:.2f} s after")

    def _make(self, fault: Fault) -> None:
        if fault.machine:
            before = machine.boot(self.host)
            machine.go_down(self.host, fault.machine)
            if machine.boot(self.host) == before:
                raise Stopped("the fault did not happen: the host is in the same boot as before")
            return
        try:
            self.host.answer(PRELUDE + fault.inject, timeout=INJECT_LIMIT)
        except CommandFailed as problem:
            raise (NotDone if fault.version else Stopped)(str(problem)) from problem
        if not self._soon(fault.happened, HAPPENED_WITHIN):
            raise (NotDone if fault.version else Stopped)("it could not be seen on the host")

    def _mend(self) -> None:
        self.story.tell("recovery", "an operator begins to mend it")
        self.host.answer(PRELUDE + self.drill.recovery, timeout=self.drill.limit)
        self.story.tell("recovery", "the operator is done")

    def _heal(self) -> None:
        failed = self.lease.heal()
        self.healed_at = time.monotonic()
        self.story.tell("healed", "the fault is undone" if not failed else "; ".join(failed))

    def _await_recovery(self, window: float) -> None:
        cycle = self.cycles[-1]
        # While the fault was still being made all was well, which is no recovery.
        there = cycle.verified or cycle.begun
        until = time.monotonic() + self.drill.limit
        while True:
            slots = {one.name: one.slots[self.since[one.name] :] for one in self.work.streams}
            back = [recovered_at(each, there, window) for each in slots.values()]
            if all(at is not None for at in back) and not self._under_way(slots):
                worst = max(at for at in back if at is not None)
                self.story.tell("recovered", f"all is well since {worst - cycle.begun:.2f} s after")
                return
            if time.monotonic() > until:
                down = ", ".join(n for n, at in zip(slots, back, strict=True) if at is None)
                self.story.tell("late", f"not recovered after {self.drill.limit:g} s: {down}")
                return
            self._watch_for(TICK)

    @staticmethod
    def _under_way(slots: Mapping[str, Sequence[Slot]]) -> bool:
        """Whether a stream has said nothing for a while: its probes are stuck, not well."""
        now = time.monotonic()
        return any(now - max((s.at for s in each), default=0.0) > 1.0 for each in slots.values())

    def _await_clear(self) -> None:
        """Where an alert is part of the drill, wait until it is gone."""
        waited = [one for one in self.drill.promised() if one.name.startswith("clears_")]
        until = time.monotonic() + max((one.at_most for one in waited), default=0.0)
        while self.alerts.firing and time.monotonic() < until:
            self._watch_for(TICK)

    def _restore(self) -> None:
        """Undo everything and wait until nothing is left of it; then the host must be steady."""
        if self.healed_at is None or self.drill.repeat > 1:
            failed = self.lease.heal()
            self.healed_at = time.monotonic()
            if failed:
                self.story.tell("unrestored", "; ".join(failed))
        for fault in self.faults:
            if not self._soon(fault.healed, RESTORED_WITHIN):
                self.story.tell("unrestored", "the fault is still there")
                return
        try:
            steady.await_steady(self.host, self.site, RESTORED_WITHIN)
        except ConnectInfraError as problem:
            self.story.tell("unrestored", str(problem))
            return
        self.restored = True
        self.story.tell("restored", "the host is in its steady state")

    def _soon(self, script: str, patience: float) -> bool:
        until = time.monotonic() + patience
        while self.host.run(PRELUDE + script, timeout=20.0).code != 0:
            if time.monotonic() > until:
                return False
            time.sleep(TICK)
        return True

    def _watch_for(self, seconds: float) -> None:
        """Let time pass, telling what is down; Stopped when a stop condition holds."""
        until = time.monotonic() + seconds
        while True:
            self.story.follow(self.work.streams)
            self._check_stop_conditions()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(TICK, left))

    def _check_stop_conditions(self) -> None:
        now = time.monotonic()
        if now > self.time_limit:
            raise Stopped("the drill took longer than it may")
        if self.lease.lost:
            raise Stopped(f"the lease was lost: {self.lease.lost}")
        if not self.work.running:
            raise Stopped("the workload has ended by itself")
        if now - self.looked > LOOK_EVERY:
            self.looked = now
            if (free := steady.least_free(self.host)) < steady.LEAST_FREE:
                raise Stopped(f"only {free / 2**30:.1f} GiB are free on the host")
