"""Recorded output of a Docker host's engine and of Compose, read as facts."""

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import docker


@pytest.fixture
def facts(recorded):
    return docker.parse(recorded("docker"))


def test_versions(facts):
    assert facts.version == "20.10.24+dfsg1"
    assert facts.compose_version == "1.29.2"


def test_every_container_and_how_it_is(facts):
    assert set(facts.containers) == set(docker.PLATFORM)
    for name in docker.PLATFORM:
        one = facts.container(name)
        assert one.health == "healthy"
        assert one.host.restart.name == "unless-stopped"
        assert one.host.memory > 0
        assert one.host.logs.options == {"max-file": "5", "max-size": "10m"}
        assert not one.host.privileged


def test_what_is_published(facts):
    assert facts.container("connect_app2").published == {"127.0.0.1:3001->3000/tcp"}
    assert facts.container("haproxy").published >= {"0.0.0.0:443->443/tcp"}
    assert facts.container("patroni1").published == frozenset()


def test_compose_s_own_digests_agree(facts):
    assert {one.service: one.hash for one in facts.containers.values()} == facts.hashes


def test_images_and_their_tags(facts):
    assert set(facts.image("connect:1.0.0").tags) == {
        *("connect:1.0.0", "connect:blue", "connect:green", "connect:latest"),
    }
    assert facts.image("connect:2.0.0") is None
    assert facts.saved_images == {"connect-1.0.0.tar.gz"}


def test_the_secrets_file(facts):
    file = facts.secrets_file
    assert (file.owner, file.mode) == ("root", 0o600)
    assert 0 < file.age < 86_400
    assert ".env.production.local" in file.ignored


def test_a_container_that_has_stopped_or_is_not_there_is_an_error(recorded):
    text = recorded("docker")["containers"].stdout
    stopped = docker.parse(recorded("docker", containers=text.replace(
        '"Running": true', '"Running": false')))  # fmt: skip
    with pytest.raises(ObservationError, match="one that has stopped"):
        stopped.container("etcd")
    with pytest.raises(ObservationError, match="a running container nginx, found none"):
        stopped.container("nginx")
