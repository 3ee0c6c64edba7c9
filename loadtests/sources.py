"""Many client addresses for one generator, because nginx limits each address.

For a lab host a prefix at the end of the lab's own network becomes local on the interface that
leads there: the kernel then answers for every address in it, and users bind to them. It is one
route, marked as ours, so that a killed run leaves one thing, which the machine's next run replaces
and takes away. Which prefix is a machine's own follows from its address, so machines that make
load together need not agree on anything. A server sees the addresses that this machine has on the
way to it.
"""

import fcntl
import ipaddress
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Interface, IPv4Network

from connect_infra.errors import LoadError
from loadtests.route import route

MARK = "214"
"""The routing protocol number of our routes: free for anybody's use (RFC-less, see ip-route(8))."""

LARGEST_PREFIX = 24
"""254 addresses: a host keeps an ARP entry for each, and has room for 1,024."""


@contextmanager
def client_addresses(address: str, wanted: int, *, lab: bool) -> Iterator[tuple[str, ...]]:
    """At most `wanted` addresses of this machine's to come to `address` from.

    Those that were made for it are gone after the block, unless another process has them too.
    """
    if not lab or ipaddress.ip_address(address).is_loopback:
        yield _own(address)[:wanted]
        return
    device = str(route(address)["dev"])
    prefix = own_prefix(_interface(device), address)
    with _local(prefix, device):
        yield tuple(str(one) for one in list(prefix.hosts())[:wanted])


def own_prefix(machine: IPv4Interface, target: str) -> IPv4Network:
    """The prefix of a machine: the lab's first has the network's last one, the next the one before.

    The engine gives its hosts the network's first addresses, so users get the upper half only.
    LoadError when that is not enough.
    """
    network = machine.network
    length = max(LARGEST_PREFIX, network.prefixlen + 2)
    place = int(machine.ip) - int(network.network_address)
    last = int(network.broadcast_address) >> (32 - length)
    prefix = ipaddress.IPv4Network((last - (place - 1) << (32 - length), length))
    places = 1 << (length - network.prefixlen - 1)
    if place > places or ipaddress.ip_address(target) in prefix:
        raise LoadError(
            expected=f"a lab network with room for the users of {machine.ip}",
            found=f"{network}, which has it for its first {places} addresses",
            where=target,
            remedy="run: connect-infra lab down, and up again",
        )
    return prefix


@contextmanager
def _local(prefix: IPv4Network, device: str) -> Iterator[None]:
    """Make a prefix local until the last process that wants it is done; all lock the device."""
    lock = os.open(f"/sys/class/net/{device}", os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        _ip("route", "replace", "local", str(prefix), "dev", device, "proto", MARK)
        try:
            yield
        finally:
            if _alone(lock):
                _ip("route", "del", "local", str(prefix), "dev", device, "proto", MARK)
    finally:
        os.close(lock)


def _alone(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _own(address: str) -> tuple[str, ...]:
    """This machine's addresses on the interface that leads to `address`; any of 127/8 to that."""
    if ipaddress.ip_address(address).is_loopback:
        return tuple(f"127.0.1.{number}" for number in range(1, 251))
    device = str(route(address)["dev"])
    return tuple(
        one["local"] for one in _addresses(device) if one["family"] == "inet" and one["local"]
    )


def _interface(device: str) -> IPv4Interface:
    (own,) = [one for one in _addresses(device) if one["family"] == "inet"][:1]
    return IPv4Interface(f"{own['local']}/{own['prefixlen']}")


def _addresses(device: str) -> list[dict[str, str]]:
    (row,) = json.loads(_ip("-j", "address", "show", "dev", device))
    found: list[dict[str, str]] = row["addr_info"]
    return found


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
