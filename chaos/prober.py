"""An open loop: every slot is its own task, begun when it is due, however the earlier ones fare.

A client that waits for one answer before it asks again sends nothing while the host stalls, and so
measures one slow request where users would have met a hundred.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chaos.timeline import Slot, State

Judged = tuple[State, str]
Probe = Callable[[int], Awaitable[Judged]]
"""Performs slot number k; returns how it went, and why if not well."""


@dataclass(frozen=True)
class Stream:
    """One open loop."""

    name: str
    interval: float
    """Seconds between slots."""
    probe: Probe
    told: Callable[[Slot], None]
    """Hears of each slot as it ends."""

    async def run(self, stopped: asyncio.Event) -> None:
        """Begin slots until `stopped`, then wait for those that are under way."""
        begun = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            number = 0
            while not stopped.is_set():
                due = begun + number * self.interval
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                tasks.create_task(self._slot(number, due))
                number += 1

    async def _slot(self, number: int, due: float) -> None:
        late = time.monotonic() - due
        if late > self.interval / 2:
            # It is still sent: skipping it would lighten the load just when the host is slow.
            state, why = await self.probe(number)
            state, why = "void", f"begun {late * 1000:.0f} ms late; {state} {why}".strip()
        else:
            state, why = await self.probe(number)
        self.told(Slot(due, time.monotonic() - due, state, why))
