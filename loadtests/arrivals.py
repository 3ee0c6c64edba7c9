"""When each user asks: an open-loop model, so that a slow server can't slow its own load down.

All requests of a run are numbered as they are due. At a rate of r requests a second the n-th is due
after n / r seconds; a user among U takes every U-th of them, beginning with its own place below U.
Places are either even (the spacing of a metronome) or random (independent users; many of them
together arrive as a Poisson process does).
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Spacing = Literal["even", "random"]


@dataclass(frozen=True)
class Step:
    """A constant rate, in requests a second of all users together, for some seconds."""

    rate: float
    seconds: float


def duration(steps: Sequence[Step]) -> float:
    """Seconds from the first step's start to the last one's end."""
    return sum(step.seconds for step in steps)


def planned(steps: Sequence[Step]) -> float:
    """How many requests are due in all steps together."""
    return sum(step.rate * step.seconds for step in steps)


def due(count: float, steps: Sequence[Step]) -> float | None:
    """Seconds after the start at which the `count`-th request is due; None: not in this run."""
    started = 0.0
    for step in steps:
        in_step = step.rate * step.seconds
        if count < in_step:
            return started + count / step.rate
        count -= in_step
        started += step.seconds
    return None


def step_at(second: float, steps: Sequence[Step]) -> int | None:
    """The index of the step that is under way at `second`; None after the last."""
    for index, step in enumerate(steps):
        if second < step.seconds:
            return index
        second -= step.seconds
    return None


def place(user: int, users: int, spacing: Spacing, seed: int) -> float:
    """The number, from 0 and below `users`, of a user's first request."""
    if spacing == "even":
        return user + 0.5
    return random.Random(f"{seed}/{user}").random() * users


def visits(
    user: int, users: int, steps: Sequence[Step], spacing: Spacing, seed: int
) -> Iterator[float]:
    """The moments at which one user asks, in seconds after the start, in order."""
    count = place(user, users, spacing, seed)
    while (moment := due(count, steps)) is not None:
        yield moment
        count += users


def connections(users: int, steps: Sequence[Step], keep_alive: float) -> float:
    """How many connections all users open in a run, when the server closes idle ones.

    A user who returns within `keep_alive` seconds goes on with the connection that it has; a user
    who stays away longer needs a new one each time.
    """
    total = planned(steps)
    slowest = min(step.rate for step in steps)
    return min(users, total) if users / slowest < keep_alive else total
