"""A Docker host as its clients meet it."""

import errno
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from connect_infra.facts.docker import PLATFORM, WATCHERS
from connect_infra.web import Site


@pytest.fixture(scope="session")
def site(target):
    """The target's site, reached from here."""
    return Site(target)


PORTS = (22, 80, 443, 3000, 3001, 3100, 5432, 6379, 8008, 2379, 9090, 9093)
"""What the platform's services listen on somewhere."""

SECONDS = 1.0
"""How long a dropped packet is waited for."""


@pytest.fixture(scope="session")
def outside(target):
    """What a client from outside meets at each port: `answered`, or the error's name."""
    if target.way != "ssh":
        pytest.skip(f"the way in is {target.way}: nobody comes over the network")
    with ThreadPoolExecutor(len(PORTS)) as clients:
        answers = clients.map(lambda port: _answer_of(target.host, port), PORTS)
        return dict(zip(PORTS, answers, strict=True))


def _answer_of(host, port):
    with socket.socket() as client:
        client.settimeout(SECONDS)
        return errno.errorcode.get(client.connect_ex((host, port)), "answered")


@pytest.fixture(scope="session")
def stack(facts):
    """Every container of the topology, each of which must run, by name."""
    return {name: facts.docker.container(name) for name in (*PLATFORM, *WATCHERS)}
