"""More users than those that are measured: they only look, and nobody judges their answers.

A process of its own, of ordinary priority, for what a crowd costs may not hold a probe up.
`python -m chaos.crowd` takes the orders of `chaos.users`, and stops when its input ends.
"""

import asyncio
import json
import sys

from chaos.client import Door, NoReply
from chaos.prober import Judged, Stream
from chaos.users import LIMIT, Orders, end_of_input, print_slot, trusting


class Crowd:
    """One stream of requests for the page that asks the database."""

    def __init__(self, orders: Orders) -> None:
        """The crowd comes through the same door as the users."""
        self._door = Door(orders["address"], 443, orders["domain"], trusting(orders))
        self._interval = 1 / orders["crowd"]
        self._first = orders["first"]

    async def run(self) -> None:
        """Look until the input ends; then wait for the answers that are under way."""
        stopped = asyncio.Event()
        stream = Stream("crowd", self._interval, self._look, print_slot("crowd"))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stream.run(stopped))
            await end_of_input()
            stopped.set()

    async def _look(self, number: int) -> Judged:
        try:
            reply = await self._door.ask("GET", f"/programs?query=zz{self._first}", limit=LIMIT)
        except NoReply as problem:
            return "bad", problem.why
        return ("ok", "") if reply.status == 200 else ("bad", f"status {reply.status}")


if __name__ == "__main__":
    asyncio.run(Crowd(json.loads(sys.stdin.readline())).run())
