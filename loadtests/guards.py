"""Where load may go: to targets that allow it, and with a lab host's address, to that host only."""

from connect_infra.errors import GuardError
from connect_infra.lab import Lab
from connect_infra.targets import Target


def require_allowed(target: Target) -> None:
    """GuardError unless the inventory lets this target be loaded.

    A lab host must be one that the lab started, at the address that the inventory has.
    """
    if not target.guards.load:
        raise GuardError(
            expected="a target that allows load",
            found="guards.load = false",
            where=f"target {target.name}",
            remedy="allow it in the inventory, if whoever runs the target agrees",
        )
    if target.lab and target.host not in {host.address for host in Lab().hosts() if host.running}:
        raise GuardError(
            expected="an address of a running lab host",
            found=target.host,
            where=f"target {target.name}",
            remedy="run: connect-infra lab up",
        )
