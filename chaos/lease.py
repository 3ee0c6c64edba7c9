"""The right to break a host for a while: one holder, a time to live, and everything undoable.

What undoes a fault is on the host's disk before the fault is. A watchdog on the host runs it when
the lease is not renewed in time, so a controller that is killed at any point leaves a healed host.
"""

import getpass
import json
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from chaos import watchdog
from chaos.host import Host
from connect_infra.errors import ConnectInfraError, TransportError

RENEWALS_PER_LIFE = 5
"""How often a lease is renewed within its time to live."""

UNIT = f"""[Unit]
Description=Heals this host when the lease of a connect-infra drill runs out
ConditionPathExists={watchdog.HOME}
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/bin/python3 -I {watchdog.PROGRAM} watch
Restart=on-failure
RestartSec=1
Nice=-10
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
"""

# The directory is the lock: making it is atomic. Its watchdog is enabled before that, so that no
# crash, of the host either, leaves a lease without one.
ACQUIRE = f"""
set -eu
systemctl daemon-reload
systemctl enable --quiet {watchdog.UNIT}
if ! mkdir {watchdog.HOME} 2>/dev/null; then
  cat {watchdog.LEASE} 2>/dev/null || echo '{{}}'
  exit 3
fi
mkdir {watchdog.UNDO}
cat > {watchdog.LEASE}
sync -f {watchdog.HOME}
if ! systemctl restart {watchdog.UNIT} || ! systemctl is-active --quiet {watchdog.UNIT}; then
  rm -rf {watchdog.HOME}
  exit 1
fi
"""

RENEW = f"""
set -eu
grep -q "$1" {watchdog.LEASE}
cat > {watchdog.LEASE}.new
mv {watchdog.LEASE}.new {watchdog.LEASE}
"""

RELEASE = f"""
set -eu
grep -q "$1" {watchdog.LEASE}
test -z "$(ls {watchdog.UNDO})"
systemctl disable --quiet --now {watchdog.UNIT}
rm -f {watchdog.UNIT_FILE} {watchdog.PROGRAM} {watchdog.LOCK}
rm -rf {watchdog.HOME}
systemctl daemon-reload
"""


class LeaseError(ConnectInfraError):
    """Raised when a host's lease can't be had, was lost, or its faults can't be undone."""


class Lease:
    """One drill's lease on one host, from `with` to its end; renewed by a thread of its own."""

    def __init__(self, host: Host, ttl: float) -> None:
        """Hold `host`; `ttl` in seconds."""
        self.token = uuid.uuid4().hex
        self.lost = ""
        """Why the lease is no longer ours; empty while it is."""
        self._host = host
        self._ttl = ttl
        self._count = 0
        self._undos = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew_for_ever, name="lease", daemon=True)

    def __enter__(self) -> Self:
        """Acquire; LeaseError when another drill holds the host."""
        self._host.answer(f"mkdir -p {Path(watchdog.HOME).parent}")
        self._host.put(watchdog.PROGRAM, Path(watchdog.__file__).read_bytes(), 0o755)
        self._host.put(watchdog.UNIT_FILE, UNIT.encode(), 0o644)
        done = self._host.run(ACQUIRE, stdin=self._content())
        if done.code == 3:
            raise LeaseError(
                expected="no other drill on this host",
                found=f"one that {_holder(done.stdout)} holds",
                where=self._host.name,
                remedy="wait for it; a dead drill's watchdog gives the host free within a minute",
            )
        if done.code != 0:
            raise self._failed("a watchdog that runs", done.stderr)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: object, trace: TracebackType | None
    ) -> None:
        """Heal what is left and give the host free; LeaseError when that can't be done."""
        try:
            failed = self.heal()
        finally:
            self._ended.set()
            self._thread.join()
        if self.lost:
            return
        if failed:
            raise self._failed("every fault to be undone", "; ".join(failed))
        done = self._host.run(RELEASE, self.token)
        if done.code != 0:
            raise self._failed("the lease to be ours to the end", done.stderr or self.lost)

    def arm(self, undo: str) -> None:
        """Put what undoes a fault on the host's disk; only then may the fault be made."""
        self._undos += 1
        self._host.put(f"{watchdog.UNDO}/{self._undos:02}", undo.encode(), 0o700)

    def heal(self) -> list[str]:
        """Undo everything now, newest first; return what could not be undone."""
        if self.lost:
            return []  # the watchdog has done it, and is gone
        script = f"exec python3 -I {watchdog.PROGRAM} heal"
        done = self._host.run(script, timeout=4 * watchdog.UNDO_SECONDS)
        if done.code != 0:
            raise self._failed("the faults to be undone", done.stderr)
        self._undos = 0
        return [str(one) for one in json.loads(done.stdout)]

    def _renew_for_ever(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(self._ttl / RENEWALS_PER_LIFE):
            try:
                done = self._host.run(
                    RENEW, self.token, stdin=self._content(), timeout=self._ttl / 3
                )
            except TransportError:  # a fault may be why; the watchdog counts meanwhile
                continue
            if done.code != 0:
                self.lost = (
                    f"not renewed for {time.monotonic() - last:.0f} s: the host's watchdog has "
                    "healed it"
                )
                return
            last = time.monotonic()

    def _content(self) -> bytes:
        self._count += 1
        holder = {"user": getpass.getuser(), "machine": socket.gethostname(), "pid": os.getpid()}
        fields = {"token": self.token, "ttl": self._ttl, "holder": holder, "count": self._count}
        return json.dumps(fields).encode() + b"\n"

    def _failed(self, expected: str, found: str) -> LeaseError:
        lines = found.strip().splitlines()
        return LeaseError(
            expected=expected,
            found=lines[-1] if lines else "a failure without a message",
            where=self._host.name,
            remedy=f"look at journalctl -u {watchdog.UNIT} and {watchdog.UNDO} on the host",
        )


def _holder(lease: str) -> str:
    try:
        holder = json.loads(lease)["holder"]
        return f"{holder['user']}, process {holder['pid']} on {holder['machine']},"
    except (ValueError, KeyError, TypeError):
        return "somebody"
