"""From a profile and a target to a plan."""

import atexit
from contextlib import ExitStack

from connect_infra.targets import Target, load_inventory
from connect_infra.targets.lab import authority_file, state_dir
from connect_infra.web import Site
from loadtests import guards, sources
from loadtests.plan import Plan
from loadtests.profile import Profile, load_profile


def plan_for(
    profile: Profile, target: Target, addresses: tuple[str, ...], workers: int = 1
) -> Plan:
    """The plan of a run against a target whose users come from these addresses."""
    site = Site(target)
    trusted = authority_file(state_dir().absolute()) if target.lab else None
    return Plan(
        profile=profile,
        address=site.address,
        domain=site.domain,
        authority=trusted.read_text(encoding="ascii") if trusted else "",
        lab=target.lab,
        sources=addresses,
        workers=workers,
    )


def planned_by_hand(profile: str, target: str) -> Plan:
    """The plan of a locust that somebody started; its addresses go when the process ends."""
    chosen = load_inventory(None).target(target)
    guards.require_allowed(chosen)
    wanted = load_profile(profile)
    lasting = ExitStack()
    atexit.register(lasting.close)
    address = Site(chosen).address
    return plan_for(
        wanted,
        chosen,
        lasting.enter_context(sources.client_addresses(chosen, address, wanted.sources)),
    )
