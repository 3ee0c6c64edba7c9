"""Which alerts Alertmanager holds, watched throughout a drill."""

import json
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from chaos.host import Host
from chaos.objectives import Seen
from chaos.platforms import PLATFORMS
from connect_infra.errors import ConnectInfraError

PAUSE = 2.0
"""Seconds between looks."""

LEAST_LOOKS = 3
"""Fewer successful looks than that are no observation."""


class AlertWatch:
    """Looks from `with` to its end, in a thread of its own."""

    def __init__(self, host: Host, told: Callable[[str, str], None]) -> None:
        """Tell `told` (kind, text) when an alert begins to fire and when it is gone."""
        self.seen: dict[str, Seen] = {}
        self.looks = 0
        self._host = host
        self._ask = PLATFORMS[host.target.topology].alerts
        self._told = told
        self._firing: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="alerts", daemon=True)

    @property
    def observed(self) -> bool:
        """Whether there were enough looks to say that no other alert fired."""
        return self.looks >= LEAST_LOOKS

    @property
    def firing(self) -> frozenset[str]:
        """The alerts that fired at the last look."""
        return frozenset(self._firing)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: object, trace: TracebackType | None
    ) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(PAUSE):
            try:
                firing = parse(self._host.answer(self._ask, timeout=10.0))
            except (ConnectInfraError, ValueError, KeyError, TypeError):
                continue  # a fault may be why; too few looks make the drill's verdict unknown
            now = time.monotonic()
            self.looks += 1
            for name in firing:
                first = self.seen[name].fired if name in self.seen else now
                self.seen[name] = Seen(first, now)
            for name in firing - self._firing:
                self._told("alert", f"{name} fires")
            for name in self._firing - firing:
                self._told("alert", f"{name} is gone")
            self._firing = firing


def parse(answer: str) -> set[str]:
    """The names of the alerts in Alertmanager's answer."""
    return {str(alert["labels"]["alertname"]) for alert in json.loads(answer)}
