"""Many client addresses for one generator, because nginx limits each address.

For a lab host a prefix at the end of the lab's own network becomes local on the lab's bridge: the
kernel then answers for every address in it, and users bind to them. It is one route, marked as
ours, so that a killed run leaves one thing, which the next run replaces and takes away. A server
sees the addresses that this machine has on the way to it.
"""

import ipaddress
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from connect_infra.errors import LoadError
from connect_infra.targets import Target
from loadtests.route import route

MARK = "214"
"""The routing protocol number of our routes: free for anybody's use (RFC-less, see ip-route(8))."""

LARGEST_PREFIX = 24
"""254 addresses: a host keeps an ARP entry for each, and has room for 1,024."""


@contextmanager
def client_addresses(target: Target, address: str, wanted: int) -> Iterator[tuple[str, ...]]:
    """At most `wanted` addresses to come from; those made for it are gone after the block."""
    if not target.lab:
        yield _own(address)[:wanted]
        return
    device = str(route(address)["dev"])
    prefix = _prefix(_network(device), address)
    _ip("route", "replace", "local", str(prefix), "dev", device, "proto", MARK)
    try:
        yield tuple(str(one) for one in list(prefix.hosts())[:wanted])
    finally:
        _ip("route", "del", "local", str(prefix), "dev", device, "proto", MARK)


def _own(address: str) -> tuple[str, ...]:
    """This machine's addresses on the interface that leads to `address`; any of 127/8 to that."""
    if ipaddress.ip_address(address).is_loopback:
        return tuple(f"127.0.1.{number}" for number in range(1, 251))
    device = str(route(address)["dev"])
    return tuple(
        one["local"] for one in _addresses(device) if one["family"] == "inet" and one["local"]
    )


def _network(device: str) -> ipaddress.IPv4Network:
    (own,) = [one for one in _addresses(device) if one["family"] == "inet"][:1]
    return ipaddress.ip_interface(f"{own['local']}/{own['prefixlen']}").network  # type: ignore[return-value]


def _addresses(device: str) -> list[dict[str, str]]:
    (row,) = json.loads(_ip("-j", "address", "show", "dev", device))
    found: list[dict[str, str]] = row["addr_info"]
    return found


def _prefix(network: ipaddress.IPv4Network, target: str) -> ipaddress.IPv4Network:
    """The last addresses of a network; the engine gives its hosts the first ones."""
    length = max(LARGEST_PREFIX, network.prefixlen + 2)
    prefix = ipaddress.ip_network(
        (int(network.broadcast_address) >> (32 - length) << (32 - length), length)
    )
    if ipaddress.ip_address(target) in prefix:
        raise LoadError(
            expected="a lab network with room for the users' addresses",
            found=f"{network}, with the target among its last addresses",
            where=target,
            remedy="run: connect-infra lab down, and up again",
        )
    return prefix  # type: ignore[return-value]


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise LoadError(
            expected="ip to add or remove the users' addresses",
            found=done.stderr.strip() or f"exit code {done.returncode}",
            where=f"ip {' '.join(arguments)}",
            remedy="run as root on the machine of the lab",
        )
    return done.stdout
