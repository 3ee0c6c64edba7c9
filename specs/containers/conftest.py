"""The site of a Docker host, as its clients meet it."""

import pytest

from connect_infra.web import Site

CONTAINERS = (
    *("connect_app1", "connect_app2", "connect_postgres", "connect_redis", "haproxy"),
    *("patroni1", "patroni2", "etcd"),
)
"""Every container of the topology: document S names the first five, its diagram the others."""


@pytest.fixture(scope="session")
def site(target):
    """The target's site, reached from here."""
    return Site(target)


@pytest.fixture(scope="session")
def stack(facts):
    """Every container of the topology, each of which must run, by name."""
    return {name: facts.docker.container(name) for name in CONTAINERS}
