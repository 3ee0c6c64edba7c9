"""What a Docker host is given: the compose file, the doors, images; never a secret in the open."""

import hashlib
import re

import pytest
import yaml

from connect_infra.document import load
from connect_infra.document.values import GIB, MIB
from connect_infra.targets import Target, generate_secrets
from provisioning import containers
from provisioning.component import Context
from provisioning.containers import images, stack
from provisioning.plan import requested
from provisioning.resources import Ensure, File

COMPOSE = "/opt/connect/docker-compose.production.yml"
HAPROXY = "/opt/connect/config/haproxy/haproxy.cfg"
SECRETS = "/opt/connect/.env.production.local"


@pytest.fixture
def ctx(tmp_path, monkeypatch):
    """A lab's Docker host; packages of a release are not what these tests are about."""
    monkeypatch.setenv("CONNECT_INFRA_STATE", str(tmp_path))
    package = tmp_path / "connect.tar.gz"
    package.write_bytes(b"a package")
    monkeypatch.setattr(images, "package", lambda home: package)
    file = tmp_path / "secrets-containers.toml"
    secrets = generate_secrets(file, "containers")
    target = Target(
        name="lab-containers", topology="containers", way="local", lab=True,
        sizing="scaled", memory=8 * GIB, secrets=file,
    )  # fmt: skip
    return Context(load("containers").on("scaled", 8 * GIB, True), secrets, target)


@pytest.fixture
def files(ctx):
    """Every file of the host, by path."""
    return {file.path: file for one in containers.components(ctx) for file in one.files}


@pytest.fixture
def services(files):
    return yaml.safe_load(files[COMPOSE].content)["services"]


def test_each_resource_is_in_one_component(ctx):
    assert len(requested(containers.components(ctx))) > 60


def test_only_closed_files_hold_secrets(ctx, files):
    holding = {
        path: file for path, file in files.items()
        if any(value.encode() in file.content for value in ctx.secrets.values())
    }  # fmt: skip
    assert set(holding) == {SECRETS}
    assert (holding[SECRETS].mode, holding[SECRETS].secret) == (0o600, True)


def test_no_command_holds_a_secret(ctx):
    ensures = [
        each for one in containers.components(ctx) for each in one.resources
        if isinstance(each, Ensure)
    ]  # fmt: skip
    assert len(ensures) > 10
    for ensure in ensures:
        assert not any(value in ensure.check + ensure.do for value in ctx.secrets.values())


def test_every_variable_of_the_compose_file_has_a_value(files):
    wanted = set(re.findall(r"\$\{(\w+)\}", files[COMPOSE].content.decode()))
    given = {line.partition("=")[0] for line in files[SECRETS].content.decode().splitlines()[1:]}
    assert wanted
    assert wanted <= given


def test_the_containers_are_the_documented_ones_and_each_is_watched_and_limited(services):
    documented = {"connect_app1", "connect_app2", "connect_postgres", "connect_redis", "haproxy"}
    assert {one["container_name"] for one in services.values()} == documented | {
        *("patroni1", "patroni2", "etcd"),
        *("prometheus", "postgres_exporter", "redis_exporter", "node_exporter"),
        *("alertmanager", "alert_log"),
    }  # fmt: skip
    for name, service in services.items():
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name
        assert service["logging"]["options"]["max-size"] == "10m", name
    limits = [int(one["mem_limit"].removesuffix("m")) * MIB for one in services.values()]
    assert sum(limits) < 8 * GIB


def test_only_the_front_door_is_published_to_everybody(services):
    published = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert published == {
        "haproxy": ["80:80", "443:443"],
        "app1": ["127.0.0.1:3000:3000"],
        "app2": ["127.0.0.1:3001:3000"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "alertmanager": ["127.0.0.1:9093:9093"],
    }


def test_haproxy_has_the_documented_servers_and_interval(files):
    lines = [line.strip() for line in files[HAPROXY].content.decode().splitlines()]
    assert "server app1 connect_app1:3000 check" in lines
    assert "server app2 connect_app2:3000 check backup" in lines
    (defaults,) = [line for line in lines if line.startswith("default-server")]
    assert "inter 2s" in defaults


def test_another_configuration_makes_another_container(ctx, files, services, monkeypatch):
    """Patroni, Redis and the database's door read their files at the start only."""
    before = {name: one.get("labels") for name, one in services.items()}
    real = stack.render

    def changed(template, **names):
        more = b"# changed\n" if template == "containers/redis.conf.j2" else b""
        return real(template, **names) + more

    monkeypatch.setattr(stack, "render", changed)
    (again,) = [one for one in containers.components(ctx) if one.name == "stack"]
    content = next(one.content for one in again.files if one.path == COMPOSE)
    after = {name: one.get("labels") for name, one in yaml.safe_load(content)["services"].items()}
    assert {name for name in before if before[name] != after[name]} == {"redis"}


def test_an_image_has_a_digest_of_what_it_is_made_of():
    tags = {image.tag("debian") for image in images.SERVICES}
    assert len(tags) == len(images.SERVICES)
    assert images.REDIS.tag("debian") != images.REDIS.tag("another")
    assert "redis-server" in images.REDIS.dockerfile().decode()


def test_a_real_host_is_built_on_the_official_image_and_gets_no_release(ctx):
    target = ctx.target.model_copy(update={"lab": False, "name": "docker"})
    expectations = load("containers").on("documented", None, False)
    made = containers.components(Context(expectations, ctx.secrets, target))
    ensures = [each for one in made for each in one.resources if isinstance(each, Ensure)]
    assert any(f"BASE={images.OFFICIAL}" in one.do for one in ensures)
    assert not any("docker load" in one.do for one in ensures)
    files = [each for one in made for each in one.resources if isinstance(each, File)]
    assert not any(file.path.endswith(".tar.gz") for file in files)


def test_what_runs_by_a_file_is_looked_at_again_when_the_file_is_to_change(ctx, files):
    """At the time of the plan the old file is in place, and what runs agrees with it."""
    (made,) = [one for one in containers.components(ctx) if one.name == "stack"]
    watched = {
        line.split()[1]: line.split()[0]
        for one in made.resources
        if isinstance(one, Ensure)
        for line in one.secrets.get("WANTED", "").splitlines()
    }
    assert set(watched) == {
        *(COMPOSE, SECRETS, HAPROXY, "/opt/connect/config/haproxy/certs/connect.pem"),
    }
    for path, digest in watched.items():
        assert digest == hashlib.sha256(files[path].content).hexdigest()


def test_every_section_of_haproxy_s_file_is_whole(files):
    lines = files[HAPROXY].content.decode().splitlines()
    sections = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert sections == [
        *("global", "defaults", "resolvers docker", "frontend http", "frontend https"),
        *("frontend metrics", "backend connect"),
    ]
    assert lines.count("    default_backend connect") == 1


def test_nothing_signals_a_container_in_a_way_that_keeps_it_down(ctx):
    """After `docker kill`, whatever the signal, Docker does not start a crashed container again."""
    said = [
        each.do for one in containers.components(ctx) for each in one.resources
        if isinstance(each, Ensure)
    ]  # fmt: skip
    said += [file.content.decode(errors="replace") for one in containers.components(ctx)
             for file in one.files if file.path.endswith(".sh")]  # fmt: skip
    assert [text for text in said if "docker kill" in text] == []
