"""The way from this machine to a target; load for a lab host stays on the lab's network."""

import ipaddress
import json
import subprocess
from typing import Any

from connect_infra.errors import GuardError
from loadtests.plan import Plan


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
