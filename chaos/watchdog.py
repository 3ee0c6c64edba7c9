"""Runs on the host: undoes a drill's faults when its lease runs out, whoever has died meanwhile.

`watchdog.py watch` is a service that survives a reboot; `watchdog.py heal` undoes at once. Both run
under the host's own Python (3.10 or newer, standard library only). State is one directory:

    lease      {"token", "ttl", "holder", "count"}: renewed by being written with another count
    undo/NN    sh scripts, there before the fault is; they may run twice, and run newest first

Time is this process' own: the seconds since it last saw the lease change. So neither a jump of the
clock nor a reboot shortens or lengthens a lease by more than one time to live.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time

HOME = "/var/lib/connect-infra/drill"
LEASE = HOME + "/lease"
UNDO = HOME + "/undo"
LOCK = "/var/lib/connect-infra/drill.lock"
HEALED = "/var/lib/connect-infra/drill-healed.json"
"""What the watchdog did by itself the last time, for whoever comes to look."""

PROGRAM = "/var/lib/connect-infra/drill-watchdog.py"

UNIT = "connect-infra-drill-watchdog.service"
UNIT_FILE = "/etc/systemd/system/" + UNIT

TTL_SECONDS = 30.0
"""Time to live of a lease that can't be read: one whose controller died while it wrote it."""

TICK_SECONDS = 0.5

UNDO_SECONDS = 120
"""Longest that one undo script may take before it is ended and tried again."""


def read_lease() -> str:
    """The lease as it stands; empty when there is none."""
    try:
        with open(LEASE, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def ttl_of(lease: str) -> float:
    """Seconds that a lease lives after its last change."""
    try:
        return float(json.loads(lease)["ttl"])
    except (ValueError, KeyError, TypeError):
        return TTL_SECONDS


def heal() -> list[str]:
    """Undo everything, newest first; return what could not be undone, with the reason."""
    failed = []
    with open(LOCK, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in sorted(os.listdir(UNDO) if os.path.isdir(UNDO) else [], reverse=True):
            path = os.path.join(UNDO, name)
            try:
                done = subprocess.run(
                    ["/bin/sh", path], capture_output=True, text=True, timeout=UNDO_SECONDS
                )
            except subprocess.TimeoutExpired:
                failed.append(f"{name}: still ran after {UNDO_SECONDS} s")
                continue
            if done.returncode == 0:
                os.remove(path)
            else:
                failed.append(f"{name}: {(done.stderr or done.stdout).strip()[-300:]}")
    return failed


def dismiss() -> None:
    """Leave the host as if there had been no drill; the directory goes last."""
    wants = "/etc/systemd/system/multi-user.target.wants/" + UNIT
    for path in (wants, UNIT_FILE, PROGRAM, LOCK):
        if os.path.lexists(path):
            os.remove(path)
    shutil.rmtree(HOME, ignore_errors=True)


def watch() -> None:
    """Wait until the lease runs out or is gone; then heal until nothing is left to undo."""
    seen, since = read_lease(), time.monotonic()
    while os.path.isdir(HOME):
        lease = read_lease()
        if lease != seen:
            seen, since = lease, time.monotonic()
        if time.monotonic() - since > ttl_of(lease):
            failed = heal()
            with open(HEALED, "w", encoding="utf-8") as file:
                json.dump({"at": time.time(), "lease": lease, "failed": failed}, file)
            if not failed:
                dismiss()
                return
        time.sleep(TICK_SECONDS)


def main() -> int:
    """Do what the command line says."""
    if sys.argv[1:] == ["watch"]:
        watch()
        return 0
    failed = heal()
    print(json.dumps(failed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
