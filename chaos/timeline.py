"""From probes to outages and recovery times; pure arithmetic on the slots of an open loop.

A slot is due at `at` and judged by what happened to it. Times are monotonic seconds.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "bad", "void"]
"""void: the prober itself was late, so the slot says nothing about the host."""


@dataclass(frozen=True)
class Slot:
    """One probe: when it was due, seconds from then to its end, and what it showed."""

    at: float
    latency: float
    state: State
    why: str = ""


@dataclass(frozen=True)
class Outage:
    """Seconds during which no probe succeeded: from a bad slot to the next good one."""

    begin: float
    end: float
    slots: int
    why: str

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.begin


def outages(slots: Sequence[Slot], interval: float) -> tuple[Outage, ...]:
    """Runs of bad slots; void slots neither begin nor end one."""
    return tuple(_outages(_judged(slots), interval))


def _outages(judged: Sequence[Slot], interval: float) -> Iterator[Outage]:
    run: list[Slot] = []
    for slot in judged:
        if slot.state == "bad":
            run.append(slot)
        elif run:
            yield Outage(run[0].at, slot.at, len(run), run[0].why)
            run = []
    if run:
        yield Outage(run[0].at, run[-1].at + interval, len(run), run[0].why)


def downtime(slots: Iterable[Slot], interval: float) -> float:
    """Seconds of downtime: the interval times the bad slots."""
    return interval * sum(slot.state == "bad" for slot in slots)


def recovered_at(slots: Sequence[Slot], fault_at: float, window: float) -> float | None:
    """When the host was back for good: the first slot from which on all are ok.

    At least `window` seconds of good slots must follow; None when they don't. Later bad slots,
    however late, move the recovery behind them: a relapse is not hidden by an early good window.
    """
    after = [slot for slot in _judged(slots) if slot.at >= fault_at]
    good: list[Slot] = []
    for slot in reversed(after):
        if slot.state == "bad":
            break
        good.append(slot)
    if not good or good[0].at - good[-1].at < window:
        return None
    return good[-1].at


def void_share(slots: Sequence[Slot]) -> float:
    """The part of the slots that says nothing; 1 when there are none at all."""
    return sum(slot.state == "void" for slot in slots) / len(slots) if slots else 1.0


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The nearest-rank percentile; None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


def _judged(slots: Iterable[Slot]) -> list[Slot]:
    return sorted((slot for slot in slots if slot.state != "void"), key=lambda slot: slot.at)
