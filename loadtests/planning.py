"""From a profile and a target to a plan."""

import atexit
from contextlib import ExitStack

from connect_infra.errors import LoadError
from connect_infra.targets import Target, load_inventory
from connect_infra.targets.lab import authority_file, state_dir
from connect_infra.web import Site
from loadtests import guards
from loadtests.plan import Plan
from loadtests.profile import Profile, load_profile
from loadtests.sources import client_addresses


def plan_for(
    profile: Profile,
    target: Target,
    addresses: tuple[str, ...],
    workers: int = 1,
    *,
    remote: bool = False,
) -> Plan:
    """The plan of a run against a target whose users come from these addresses.

    `remote`: from addresses that the workers find on their own machines.
    """
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
        remote=remote,
    )


def planned_by_hand(profile: str, target: str, workers: int) -> Plan:
    """The plan of a locust that somebody started; its addresses go when the process ends.

    `workers` = 0: it is no master, and makes the load alone.
    """
    chosen = load_inventory(None).target(target)
    guards.require_allowed(chosen)
    wanted = load_profile(profile)
    if workers:
        require_even(wanted, workers, remote=True)
        return plan_for(wanted, chosen, (), workers, remote=True)
    lasting = ExitStack()
    atexit.register(lasting.close)
    made = client_addresses(Site(chosen).address, wanted.sources, lab=chosen.lab)
    return plan_for(wanted, chosen, lasting.enter_context(made))


def require_even(profile: Profile, workers: int, *, remote: bool) -> None:
    """LoadError for a number of workers with which the profile would be another one."""
    if remote and not workers:
        expected = "the number of workers on other machines"
    elif workers and profile.users % workers:
        # Users are dealt to workers in turn.
        expected = f"a number of workers that divides {profile.users} users"
    elif remote and workers > profile.sources:
        expected = f"at most {profile.sources} workers, for so many client addresses"
    else:
        return
    raise LoadError(
        expected=expected,
        found=str(workers),
        where="--workers",
        remedy="choose another number",
    )
