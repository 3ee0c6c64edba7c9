"""Who may break what: asked before anything is sent to a host."""

import socket
from pathlib import Path

from chaos.drills import Drill
from connect_infra.errors import GuardError
from connect_infra.lab import Lab
from connect_infra.targets import Target


def require(target: Target, drill: Drill, typed_name: str) -> None:
    """GuardError unless this drill may run on this target.

    Every target must allow drills in the inventory; one in production needs its name typed out,
    and takes no drill that moves a service's data. A lab's target must be a host that this lab
    started, reached over the lab's own network.
    """
    if not target.guards.drills:
        raise _refused(
            target, "guards.drills = true", "that the inventory does not allow drills",
            "allow it in the inventory, if the target may be broken",
        )  # fmt: skip
    if target.topology != drill.topology or target.way != "ssh":
        raise _refused(
            target, f"a target of topology {drill.topology} that is reached by ssh",
            f"{target.topology}, {target.way}", "run it on such a target",
        )  # fmt: skip
    if target.production:
        _require_in_production(target, drill, typed_name)
    if target.lab:
        _require_own(target)


def _require_in_production(target: Target, drill: Drill, typed_name: str) -> None:
    if typed_name != target.name:
        raise _refused(
            target, "its name typed out", repr(typed_name) if typed_name else "nothing",
            f"give --production {target.name} if it is to be broken now",
        )  # fmt: skip
    if drill.lab_only:
        raise _refused(
            target, "a drill for production", f"{drill.name}, which is not",
            "run it on a target that is not in production",
        )  # fmt: skip


def _require_own(target: Target) -> None:
    lab = Lab()
    ours = {host.target_name: host.address for host in lab.hosts() if host.running}
    if ours.get(target.name) != target.host:
        raise _refused(
            target, "the address of a host that this lab runs", target.host,
            "run: connect-infra lab up",
        )  # fmt: skip
    gateways = _gateways(lab)
    source = _source_address(target.host)
    if source not in gateways:
        raise _refused(
            target, f"a route over the lab's network ({', '.join(sorted(gateways))})",
            f"one from {source}", "look at this machine's routes",
        )  # fmt: skip


def _gateways(lab: Lab) -> set[str]:
    """This machine's own addresses on the lab's network."""
    network = lab.client.networks.get(lab.network_name)
    return {each["Gateway"] for each in network.attrs["IPAM"]["Config"] if "Gateway" in each}


def _source_address(address: str) -> str:
    """The address that packets to a host would come from; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 443))
        return str(probe.getsockname()[0])


def _refused(target: Target, expected: str, found: str, remedy: str) -> GuardError:
    return GuardError(expected=expected, found=found, where=f"target {target.name}", remedy=remedy)


def journals(state: Path, target: Target) -> Path:
    """Where the journals of a target's drills are kept."""
    return state / "drills" / target.name
