"""Calls at exact moments.

Gevent's own timers are up to a millisecond late, because its event loop waits in whole ones
(epoll_wait(2)). Here a timer of the kernel's (timerfd_create(2)) wakes the loop, one for all users.
"""

import ctypes
import heapq
import os
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import gevent
from gevent.hub import Waiter

from connect_infra.errors import LoadError

ABSOLUTE = 1
"""TFD_TIMER_ABSTIME: a moment of the clock, not a time from now."""

READABLE = 1
"""The event of a file that has something to read, as libev numbers it."""


class _Spec(ctypes.Structure):
    """struct itimerspec: how often, and when first."""

    _fields_ = (
        ("every_seconds", ctypes.c_long),
        ("every_nanoseconds", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
    )


class Alarm:
    """One timer and who is to be called when. For use in gevent's main thread."""

    def __init__(self) -> None:
        """LoadError where the kernel has no such timer."""
        self._kernel = ctypes.CDLL(None, use_errno=True)
        self._file = self._checked(
            self._kernel.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        )
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._watcher = gevent.get_hub().loop.io(self._file, READABLE)
        self._watcher.start(self._ring)

    def at(self, moment: float, call: Callable[[], None]) -> None:
        """Call at a moment of time.monotonic(), at once if it is past; `call` may not wait."""
        heapq.heappush(self._calls, (moment, next(self._order), call))
        if self._calls[0][0] == moment:
            self._set(moment)

    def wait(self, moment: float) -> None:
        """Let the greenlet that calls this sleep until a moment."""
        waiter: Any = Waiter()
        self.at(moment, partial(waiter.switch, None))
        waiter.get()

    def close(self) -> None:
        """Call nobody any more; once closed, it stays so."""
        if self._file < 0:
            return
        self._watcher.stop()
        self._watcher.close()
        os.close(self._file)
        self._file = -1
        self._calls.clear()

    def _ring(self) -> None:
        os.read(self._file, 8)  # how often it rang
        while self._calls and self._calls[0][0] <= time.monotonic():
            heapq.heappop(self._calls)[2]()
        if self._calls:
            self._set(self._calls[0][0])

    def _set(self, moment: float) -> None:
        # Rounded up, so that the moment has come when it rings; 0 would mean never.
        seconds, nanoseconds = divmod(max(1, int(moment * 1e9) + 1), 10**9)
        spec = _Spec(0, 0, seconds, nanoseconds)
        self._checked(self._kernel.timerfd_settime(self._file, ABSOLUTE, ctypes.byref(spec), None))

    def _checked(self, result: int) -> int:
        if result < 0:
            raise LoadError(
                expected="a timer of the kernel's",
                found=os.strerror(ctypes.get_errno()),
                where="this machine",
                remedy="make load from a machine with Linux",
            )
        return result
