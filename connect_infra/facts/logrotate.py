"""Which logs logrotate takes up, as it reads its own configuration, and whether its timer runs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from connect_infra.errors import ObservationError
from connect_infra.facts.base import Output

NAME = "logrotate"

COMMANDS: Mapping[str, str] = {
    "rotations": "logrotate --debug /etc/logrotate.conf 2>&1",
    "timer": "systemctl show --property=ActiveState,UnitFileState logrotate.timer",
}

_PATTERN = re.compile(r"^rotating pattern: (.+?)  .*\((\d{1,6}) rotations\)$", re.MULTILINE)
_PROBLEM = re.compile(r"^error: (.+)$", re.MULTILINE)
_TIMER = re.compile(r"ActiveState=(\w+)\nUnitFileState=(\w*)\n?")


@dataclass(frozen=True)
class LogrotateFacts:
    """How often each pattern of log files is kept, and what logrotate could not read."""

    kept: Mapping[str, int]
    problems: tuple[str, ...]
    timer_active: bool
    timer_enabled: bool


def parse(outputs: Mapping[str, Output]) -> LogrotateFacts:
    """Read what logrotate would do; raises ObservationError when it names no log at all."""
    # It ends with 1 over a file that it can't read, and goes on with the others.
    said = outputs["rotations"].stdout
    kept = {
        pattern: int(times)
        for patterns, times in _PATTERN.findall(said)
        for pattern in patterns.split()
    }
    timer = _TIMER.fullmatch(outputs["timer"].text("logrotate.timer"))
    if not kept or timer is None:
        raise ObservationError(
            expected="the patterns that logrotate rotates, and the state of its timer",
            found=repr(said[:80] if not kept else outputs["timer"].stdout[:80]),
            where="logrotate --debug /etc/logrotate.conf",
            remedy="see whether logrotate is installed on the host",
        )
    return LogrotateFacts(
        kept=kept,
        problems=tuple(_PROBLEM.findall(said)),
        timer_active=timer[1] == "active",
        timer_enabled=timer[2] == "enabled",
    )
