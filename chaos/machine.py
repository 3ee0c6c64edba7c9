"""A whole host goes down and comes up: a lab's through its engine, a server's by its own reboot."""

import time
from typing import Literal

from chaos.host import Host
from connect_infra.errors import GuardError, TransportError
from connect_infra.lab import Lab, LabHost

BOOT_LIMIT = 300.0
"""Seconds that a server may take until sshd answers again."""

BOOT = "cat /proc/sys/kernel/random/boot_id; sed 's/.*) //' /proc/1/stat | cut -d' ' -f20"
"""The kernel's boot, and when the first process began: a lab host boots anew on the same kernel."""


def boot(host: Host) -> str:
    """What tells this boot of the host from another one."""
    return host.answer(BOOT, timeout=10.0).strip()


def go_down(host: Host, how: Literal["reboot", "power"]) -> None:
    """Reboot the host in order, or end everything on it at once; returns when it is up again."""
    if host.target.lab:
        host.forget()
        own = _lab_host(host)
        own.stop() if how == "reboot" else own.kill()
        own.start()
        _require_same_address(own, host)
        return
    before = boot(host)
    command = "reboot" if how == "reboot" else "reboot --force --force"
    host.run(f"systemd-run --quiet --on-active=1 systemctl {command}", timeout=10.0)
    _await_another_boot(host, before)


def _await_another_boot(host: Host, before: str) -> None:
    """Until the host answers from another boot, or BOOT_LIMIT has passed."""
    until = time.monotonic() + BOOT_LIMIT
    while time.monotonic() < until:
        time.sleep(1.0)
        try:
            if boot(host) != before:
                return
        except TransportError:
            host.forget()


def _lab_host(host: Host) -> LabHost:
    found = next(one for one in Lab().hosts() if one.target_name == host.target.name)
    assert found is not None
    return found


def _require_same_address(own: LabHost, host: Host) -> None:
    if own.address != host.target.host:
        raise GuardError(
            expected=f"the host to come back at {host.target.host}",
            found=own.address,
            where=host.name,
            remedy="run the drill again",
        )
