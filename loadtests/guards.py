"""Where load may go: to targets that allow it, and with a lab host's address, to that host only."""

import ipaddress
import json
import subprocess
from typing import Any

from connect_infra.errors import GuardError
from connect_infra.lab import Lab
from connect_infra.targets import Target
from loadtests.plan import Plan


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


def require_on_route(plan: Plan) -> None:
    """GuardError when a lab host's address would be sought beyond the networks of this machine."""
    if plan.lab and (gateway := route(plan.address).get("gateway")):
        raise GuardError(
            expected="the lab's own network",
            found=f"a route by {gateway}",
            where=plan.address,
            remedy="run the generator on the machine of the lab, or on one of its hosts",
        )


def route(address: str) -> dict[str, Any]:
    """How this machine reaches an address: `dev`, `prefsrc`, and `gateway` if there is one."""
    ipaddress.ip_address(address)
    found = subprocess.run(["ip", "-j", "route", "get", address], capture_output=True, text=True)
    if found.returncode != 0:
        raise GuardError(
            expected="a route to the target",
            found=found.stderr.strip() or f"exit code {found.returncode}",
            where=address,
            remedy="see that the target is up and its network is there",
        )
    first: dict[str, Any] = json.loads(found.stdout)[0]
    return first
