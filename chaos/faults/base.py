"""What a fault is: pairs of sh scripts, to make it and see it there, to undo it and see it gone.

An undo script may run twice, at any point of the drill, with nobody left to tell it what was done
before: what it must know is in its own text or in the drill's directory on the host.
"""

from dataclasses import dataclass
from typing import Literal

from chaos import watchdog

PRELUDE = f"""set -eu
drill={watchdog.HOME}
stat_field() {{ sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f"$2"; }}
state_of() {{ stat_field "$1" 1; }}
start_of() {{ stat_field "$1" 20; }}
main_pid() {{
  pid=$(systemctl show -p MainPID --value "$1")
  test "$pid" -gt 0
  echo "$pid"
}}
soft_files() {{ awk '/^Max open files/ {{ print $4 }}' "/proc/$1/limits"; }}
"""
"""What every script begins with. A process is the same one only with the same start time."""

BEFORE = "before"
"""As a fault's version: the one that the site had before the drill prepared it."""


@dataclass(frozen=True)
class Fault:
    """Scripts for the host, without the prelude. `machine`: done to the host itself instead."""

    prepare: str = ":"
    """Before the workload begins; may restart services. The undo is on disk by then."""
    inject: str = ":"
    happened: str = ":"
    """Exit code 0 when the fault is there."""
    undo: str = ":"
    healed: str = ":"
    """Exit code 0 when nothing is left of it; the host's services are looked at apart."""
    machine: Literal["", "reboot", "power"] = ""
    version: str = ""
    """What the site calls itself once it has happened: another version, or `before`."""


def start(unit: str) -> str:
    """Starts a unit, whatever became of it."""
    return f"""
systemctl reset-failed {unit} 2>/dev/null || true
systemctl is-active --quiet {unit} || systemctl start {unit}
"""
