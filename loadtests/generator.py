"""The users of one process: each asks at its moments, and has the outcome recorded.

A user that has nothing to ask is a moment in a list and a connection. It has no greenlet of its
own, whose stack would take 16 kB.
"""

import ctypes
import gc
import http.client
import random
import resource
import ssl
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial

import gevent

from connect_infra.errors import LoadError
from loadtests import arrivals
from loadtests.actions import ACTIONS, Visitor
from loadtests.alarm import Alarm
from loadtests.browser import Browser, Traffic
from loadtests.exchange import CUT_OFF, OWN_FAULT, Request, fault
from loadtests.plan import Plan
from loadtests.recorder import Recorder, Row, window_seconds

SESSIONS = 5
"""How many users are logged in before the run, for those who upload."""

HEAD_START = 1.0
"""Seconds between the last user's being there and the run's start."""

READY = 0.01
"""Seconds before its moment at which a user makes up what to ask, so that it is not late."""

Told = Callable[[str, float, int, str], None]
"""Hears of each request: its action, seconds, bytes, and what is wrong (empty: nothing)."""


class Generator:
    """All users of one process, what they share, and what became of their requests."""

    def __init__(self, plan: Plan, index: int, password: str, told: Told) -> None:
        """Take every `plan.workers`-th user, beginning with number `index`."""
        self.plan = plan
        self.told = told
        self.recorder = Recorder(window_seconds(plan.profile.duration))
        self.traffic = Traffic()
        self.started = 0
        self.alarm = Alarm()
        self._guests: list[Guest] = []
        self._index = index
        self._password = password
        self._context = ssl.create_default_context(cadata=plan.authority or None)
        self._tokens: list[str] = []
        self._start: float | None = None
        self._reported = -HEAD_START

    def prepare(self) -> None:
        """Log a few users in; LoadError when the site does not let them in."""
        if "upload" not in self.plan.profile.mix:
            return
        for number in range(SESSIONS):
            browser = self.browser(number, Traffic())
            request = ACTIONS["login"](Visitor(random.Random(number), self._password))
            try:
                answer = browser.ask(request, browser.packed(request))
                wrong = fault(request, answer)
            except (OSError, http.client.HTTPException) as problem:
                wrong = named(problem)
            finally:
                browser.close()
            if wrong:
                raise LoadError(
                    expected="the seeded users to be able to log in",
                    found=wrong,
                    where=self.plan.domain,
                    remedy="see docs/load.md for what a site must have",
                )
            self._tokens.append(answer.json()["token"])

    def begin(self) -> None:
        """All users are there: let them go."""
        # What is there now stays; looking through it for garbage would stop all users at once.
        gc.collect()
        gc.freeze()
        self._start = time.monotonic() + HEAD_START
        for guest in self._guests:
            guest.begin()

    def end(self) -> None:
        """Let nobody ask any more."""
        self.alarm.close()

    def moment(self, due: float) -> float:
        """The moment of time.monotonic() that is `due` seconds after the start."""
        assert self._start is not None
        return self._start + due

    @property
    def elapsed(self) -> float:
        """Seconds since the start; below 0 before it."""
        return time.monotonic() - self._start if self._start is not None else -HEAD_START

    @property
    def in_flight(self) -> int:
        """Requests that have been sent and have not ended."""
        return self.started - self.recorder.ended

    def report(self) -> list[Row]:
        """How the process is doing, and the requests that have ended since the last report."""
        self._reported = self.elapsed
        rows = [self.state(), *self.recorder.take()]
        _give_memory_back()
        return rows

    def state(self) -> Row:
        """How the process is doing now."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "kind": "state",
            "at": round(self.elapsed, 3),
            "reported": round(self._reported, 3),
            "users": len(self._guests),
            "open": self.traffic.open,
            "most_open": self.traffic.most,
            "opened": self.traffic.opened,
            "closed_by_server": self.traffic.closed_by_server,
            "started": self.started,
            "ended": self.recorder.ended,
            "in_flight": self.in_flight,
            "cpu_seconds": round(used.ru_utime + used.ru_stime, 3),
            "memory_bytes": used.ru_maxrss * 1024,
        }

    def browser(self, number: int, traffic: Traffic) -> Browser:
        """A client for one user, from that user's address; `traffic` counts its connections."""
        plan = self.plan
        return Browser(
            (plan.address, plan.port),
            plan.domain,
            self._context,
            plan.source(number),
            plan.profile.timeout,
            traffic,
        )

    def join(self) -> "Guest":
        """The process' next user."""
        guest = Guest(self, self._index + len(self._guests) * self.plan.workers)
        self._guests.append(guest)
        return guest

    def choose(self, number: int, visit: int) -> tuple[str, Request]:
        """What a user does at a visit: the same in every run with the same seed."""
        profile = self.plan.profile
        chance = random.Random(f"{profile.seed}/{number}/{visit}")
        name = chance.choices(list(profile.mix), list(profile.mix.values()))[0]
        token = chance.choice(self._tokens) if self._tokens else ""
        return name, ACTIONS[name](Visitor(chance, self._password, token))


class Guest:
    """One user."""

    def __init__(self, generator: Generator, number: int) -> None:
        """The user of that number, from 0 on."""
        profile = generator.plan.profile
        self._generator = generator
        self._number = number
        self._browser = generator.browser(number, generator.traffic)
        self._moments: Iterator[tuple[int, float]] = enumerate(
            arrivals.visits(number, profile.users, profile.arrivals, profile.spacing, profile.seed)
        )
        self._visiting: gevent.Greenlet | None = None
        self._left = False

    def begin(self) -> None:
        """Be there at the next moment. After the last one the user stays connected and is silent.

        A request counts from its intended moment, whenever it was really sent.
        """
        visit, due = next(self._moments, (0, None))
        if due is not None:
            come = partial(self._come, visit, due)
            self._generator.alarm.at(self._generator.moment(due) - READY, come)

    def leave(self) -> None:
        """Hang up, whatever is under way."""
        self._left = True
        if self._visiting is not None:
            self._visiting.kill()
        self._browser.close()

    def _come(self, visit: int, due: float) -> None:
        if not self._left:
            self._visiting = gevent.spawn(self._visit, visit, due)

    def _visit(self, visit: int, due: float) -> None:
        generator = self._generator
        name, request = generator.choose(self._number, visit)
        text = self._browser.packed(request)
        if generator.elapsed < due:
            generator.alarm.wait(generator.moment(due))
            generator.recorder.record_lateness(due, generator.elapsed - due)
        generator.told(*self._ask(due, name, request, text))
        self._visiting = None
        self.begin()

    def _ask(
        self, due: float, name: str, request: Request, text: bytes
    ) -> tuple[str, float, int, str]:
        generator = self._generator
        size, ended = 0, 0.0
        error = CUT_OFF
        generator.started += 1
        try:
            answer = self._browser.ask(request, text)
            ended = answer.at  # what looking at it takes is not the site's
            error, size = fault(request, answer), len(answer.body)
        except (OSError, http.client.HTTPException) as problem:
            error = named(problem)
        except Exception as problem:
            error = f"{OWN_FAULT}: {type(problem).__name__}"
            traceback.print_exc()
        finally:
            seconds = (ended or time.monotonic()) - generator.moment(due)
            generator.recorder.record(due, name, seconds, error)
        return name, seconds, size, error


def _give_memory_back() -> None:
    """Return what is free to the system: half of what 10,000 TLS connections took to be made."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc's, malloc_trim(3)
        trim(0)


def named(problem: Exception) -> str:
    """A failure in words that are the same each time it happens."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"certificate refused: {problem.verify_message}"
    if isinstance(problem, ssl.SSLError):
        return f"TLS: {problem.reason}"
    if isinstance(problem, http.client.RemoteDisconnected):
        return "closed without an answer"
    if isinstance(problem, TimeoutError):
        return str(problem) or "timed out"
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror.lower()
    return type(problem).__name__
