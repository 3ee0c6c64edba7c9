"""A whole host goes down and comes up: a lab's through its engine, a server's by its own reboot."""

import time
from typing import Literal

from chaos.host import Host
from connect_infra.errors import GuardError, TransportError
from connect_infra.lab import Lab, LabHost

BOOT_LIMIT = 300.0
"""Seconds that a server may take until sshd answers again."""

BOOTED_AT = "sed 's/.*) //' /proc/1/stat | cut -d' ' -f20"


def boot(host: Host) -> str:
    """What tells this boot of the host from another one."""
    return host.answer(BOOTED_AT, timeout=10.0).strip()


def go_down(host: Host, how: Literal["reboot", "power"]) -> None:
    """Reboot the host in order, or end everything on it at once; returns when it is up again."""
    host.forget()
    if host.target.lab:
        own = _lab_host(host)
        own.stop() if how == "reboot" else own.kill()
        own.start()
        _require_same_address(own, host)
        return
    command = "reboot" if how == "reboot" else "reboot --force --force"
    try:
        host.run(f"systemd-run --quiet --on-active=1 systemctl {command}", timeout=10.0)
    except TransportError:
        host.forget()
    time.sleep(5.0)  # the reboot begins after one second; until then the old boot would answer
    host.forget()
    _await_login(host)


def _await_login(host: Host) -> None:
    until = time.monotonic() + BOOT_LIMIT
    while True:
        try:
            boot(host)
        except TransportError:
            if time.monotonic() > until:
                raise
            time.sleep(1.0)
        else:
            return


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
