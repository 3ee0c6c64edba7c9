"""Deployment strategy v1.0, Infrastructure overview: containers, ports, front door, images."""

import re

import pytest

from connect_infra.facts.docker import COMPOSE_FILE
from connect_infra.facts.haproxy import FILE, SOCKET, WATCHED

APPS = {"app1": "connect_app1", "app2": "connect_app2"}
SERVERS = {
    "app1": "server app1 connect_app1:3000 check",
    "app2": "server app2 connect_app2:3000 check backup",
}
"""As the document's own scripts expect the two lines."""

PUBLIC = {"haproxy": {"0.0.0.0:80->80/tcp", "0.0.0.0:443->443/tcp"}}
LOCAL = {
    "connect_app1": {"127.0.0.1:3000->3000/tcp"},
    "connect_app2": {"127.0.0.1:3001->3000/tcp"},
    "prometheus": {"127.0.0.1:9090->9090/tcp"},
    "alertmanager": {"127.0.0.1:9093->9093/tcp"},
}

TOLERANCE = 0.4
"""Seconds that a check may be late on a busy host."""

every_container = pytest.mark.controls("containers.container_names")


def ipv4(published):
    """What is published on an IPv4 address; the engine repeats it for IPv6."""
    return {one for one in published if not one.startswith(":::")}


# --- the front door ----------------------------------------------------------------------------


@pytest.mark.controls("containers.haproxy.frontend")
def test_port_80_only_redirects(control, site, target, found):
    answer = site.ask("/programs?page=2", port=80)
    found(f"{answer.status} {answer.one('location')}")
    assert (answer.status, answer.one("location")) == (
        301,
        f"https://{target.domain}/programs?page=2",
    )


@pytest.mark.controls("containers.haproxy.frontend")
def test_port_443_serves_the_application_over_tls(control, site, found):
    handshake = site.handshake()
    answer = site.ask("/api/health")
    found(f"{handshake.version or handshake.refusal}, {answer.status}")
    assert handshake.version in ("TLSv1.2", "TLSv1.3")
    assert answer.status == 200
    assert b'"status":"healthy"' in answer.body


@pytest.mark.controls("containers.haproxy.frontend")
def test_metrics_are_not_given_away(control, site, found):
    assert found(site.ask("/api/metrics").status) == 404


@pytest.mark.controls("containers.haproxy.check")
def test_both_colours_are_checked_and_healthy(control, facts, found):
    servers = facts.haproxy.servers
    found([f"{one.name} {one.state} {one.check}" for one in servers.values()])
    assert set(servers) == set(APPS)
    # The one that a deployment has left behind is drained: checked, and ready to serve again.
    assert {one.state for one in servers.values()} <= {"UP", "DRAIN"}
    assert all(one.check == "L7OK" for one in servers.values())


@pytest.mark.controls("containers.haproxy.check")
def test_checks_arrive_at_the_documented_interval(control, facts, found):
    seconds = int(re.search(r"\d+", control.expected)[0])
    intervals = facts.haproxy.intervals
    found([f"{name} {value:.1f} s" for name, values in intervals.items() for value in values])
    for name in APPS:
        assert intervals[name], f"no two checks came to {name} within {WATCHED} s"
        assert all(abs(value - seconds) < TOLERANCE for value in intervals[name])


@pytest.mark.controls("containers.haproxy.stats_socket")
def test_the_runtime_socket_answers(control, facts, found):
    assert found(SOCKET) == control.value
    assert facts.haproxy.info["Name"] == "HAProxy"


@pytest.mark.controls("containers.haproxy_config")
def test_haproxy_runs_with_the_documented_file(control, facts, found):
    assert found(FILE) == f"/opt/connect/{control.expected}"
    mounts = facts.docker.container("haproxy").mounts
    places = {one.place: one.source for one in mounts if one.type == "bind"}
    assert places.get("/etc/haproxy") == FILE.rpartition("/")[0], "another directory is mounted"
    assert not facts.haproxy.stale, "HAProxy has not read its file since it changed"


# --- the two colours ---------------------------------------------------------------------------


@pytest.mark.controls("containers.app1", "containers.app2")
def test_a_colour_is_in_its_place(control, facts, found):
    name = control.key
    server, container = facts.haproxy.servers[name], facts.docker.container(APPS[name])
    colour = "blue" if container.settings.image == "connect:blue" else container.settings.image
    colour = "green" if colour == "connect:green" else colour
    port = "3000" if SERVERS[name] in facts.haproxy.lines else "another port"
    place = "backup" if server.backup else "primary"
    assert found(f"{colour}, port {port}, {place}") == control.expected


@pytest.mark.controls("containers.app1", "containers.app2")
def test_a_colour_is_healthy(control, facts, found):
    health = facts.colours.health(control.key)
    found(f"{health.status} {dict(health.checks)}")
    assert health.status == "healthy"


@pytest.mark.controls("containers.app1.published", "containers.app2.published")
def test_a_colour_is_published_on_the_host_alone(control, facts, found):
    container = facts.docker.container(APPS[control.key.partition(".")[0]])
    port = control.expected.rpartition(":")[2]
    assert ipv4(found(container.published)) == {f"127.0.0.1:{port}->3000/tcp"}


@pytest.mark.controls("containers.app1.published", "containers.app2.published")
def test_clients_from_outside_do_not_reach_a_colour(control, outside, found):
    port = int(control.expected.rpartition(":")[2])
    assert found(f"port {port} {outside[port]}") != f"port {port} answered"


# --- the database's nodes ----------------------------------------------------------------------


@pytest.mark.controls("containers.patroni1", "containers.patroni2")
def test_one_node_is_the_primary_and_the_other_its_replica(control, facts, found):
    """Which is which changes with every failover, for good; the document draws the beginning."""
    views = [facts.patroni.cluster(node) for node in ("patroni1", "patroni2")]
    roles = [sorted(view.role(node) for node in ("patroni1", "patroni2")) for view in views]
    found([f"{one.name} {one.role} {one.state}" for one in views[0].members])
    assert all(role in (["leader", "replica"], ["leader", "sync_standby"]) for role in roles)
    assert all(one.state in ("running", "streaming") for view in views for one in view.members)


@pytest.mark.controls("containers.patroni1", "containers.patroni2")
def test_the_servers_themselves_agree(control, facts, found):
    servers = {node: facts.patroni.server(node) for node in ("patroni1", "patroni2")}
    found(
        [f"{node} recovery={one.recovery} receiver={one.receiver}" for node, one in servers.items()]
    )
    (primary,) = [node for node, one in servers.items() if not one.recovery]
    (replica,) = [node for node, one in servers.items() if one.recovery]
    assert primary == facts.patroni.leader, "etcd names another leader"
    assert [(one.name, one.state) for one in servers[primary].replicas] == [(replica, "streaming")]
    assert servers[replica].receiver == "streaming"


@pytest.mark.controls("containers.patroni1", "containers.patroni2")
def test_the_application_reaches_the_primary(control, facts, found):
    assert found(facts.patroni.door.recovery) is False


@pytest.mark.controls("containers.etcd")
def test_etcd_coordinates_the_nodes(control, facts, found):
    keys = {key.removeprefix("/service/connect/") for key in found(facts.patroni.keys)}
    assert {"leader", "config", "members/patroni1", "members/patroni2"} <= keys
    assert facts.patroni.leader in ("patroni1", "patroni2")


@pytest.mark.controls("containers.redis")
def test_redis_answers_the_documented_ping_and_no_stranger(control, facts, found):
    found(f"{facts.colours.ping}; a stranger: {facts.colours.stranger}")
    assert facts.colours.ping == "PONG"
    assert facts.colours.stranger.startswith("NOAUTH")


@pytest.mark.controls("containers.redis")
def test_both_colours_keep_connections_to_redis(control, facts, stack, found):
    addresses = {
        network.address: name
        for name in APPS.values()
        for network in stack[name].network.networks.values()
    }
    peers = {re.search(r" addr=([\d.]+):", f" {line}")[1] for line in facts.colours.clients}
    assert found({addresses.get(peer, "other") for peer in peers}) >= set(APPS.values())


@pytest.mark.controls("containers.redis")
def test_a_restored_dump_would_count(control, facts, found):
    config = facts.colours.redis_config
    assert found(config["appendonly"]) == "no", "with an append-only file dump.rdb is ignored"
    assert (config["dir"], config["dbfilename"]) == ("/data", "dump.rdb")


# --- all of them -------------------------------------------------------------------------------


@pytest.mark.controls("containers.compose_file")
def test_every_container_runs_as_the_compose_file_says(control, facts, stack, found):
    assert control.value == COMPOSE_FILE
    running = {one.service: one.hash for one in stack.values()}
    assert facts.docker.hashes, "the compose file names no service"
    assert found(running) == facts.docker.hashes


@pytest.mark.controls("containers.compose_file")
def test_the_compose_file_holds_no_secret(control, facts, found):
    held = re.findall(r"«secret \w+»", facts.docker.compose_file)
    assert found(held) == []


@every_container
def test_the_documented_containers_run_and_no_other(control, facts, stack, found):
    documented = {name.strip() for name in control.expected.split(",")}
    running = {name for name, one in facts.docker.containers.items() if one.state.running}
    assert documented <= set(stack)
    assert found(running) == set(stack)


@every_container
def test_every_container_is_healthy(control, stack, found):
    assert found({f"{name} {one.health}" for name, one in stack.items()}) == {
        f"{name} healthy" for name in stack
    }


@every_container
def test_every_container_comes_back(control, stack, found):
    assert found({one.host.restart.name for one in stack.values()}) <= {"always", "unless-stopped"}


@every_container
def test_every_container_has_a_limit_of_memory(control, facts, stack, found):
    limits = {name: one.host.memory for name, one in stack.items()}
    found(limits)
    assert all(limits.values()), "a container without a limit can take the host's memory"
    assert sum(limits.values()) <= facts.host.memory


@every_container
def test_every_log_has_an_end(control, stack, found):
    found({f"{one.host.logs.type} {dict(one.host.logs.options)}" for one in stack.values()})
    for name, one in stack.items():
        assert one.host.logs.type == "json-file", name
        assert {"max-size", "max-file"} <= set(one.host.logs.options), name


@every_container
def test_no_container_is_privileged(control, stack, found):
    assert found([name for name, one in stack.items() if one.host.privileged]) == []


@every_container
def test_nothing_is_published_beyond_what_is_documented(control, facts, found):
    published = {
        name: ipv4(one.published) for name, one in facts.docker.containers.items() if one.published
    }
    assert found(published) == PUBLIC | LOCAL


@every_container
def test_the_documented_pg_isready_finds_the_database(control, facts, found):
    assert found(facts.patroni.ready).endswith("accepting connections")


# --- images ------------------------------------------------------------------------------------


@pytest.mark.controls("containers.images")
def test_the_running_releases_are_tagged_by_version_and_saved(control, facts, stack, found):
    for container in (stack[name] for name in APPS.values()):
        (image,) = [one for one in facts.docker.images if one.id == container.image_id]
        tags = {tag.partition(":")[2] for tag in found(image.tags) if tag.startswith("connect:")}
        versions = tags - {"latest", "blue", "green"}
        assert versions, f"{container.name} runs an image without a version"
        assert any(f"connect-{one}.tar.gz" in facts.docker.saved_images for one in versions)


@pytest.mark.controls("containers.images")
def test_there_is_a_latest_image(control, facts, found):
    assert found(facts.docker.image("connect:latest")) is not None


@pytest.mark.controls("containers.images")
def test_no_image_holds_a_secret(control, facts, found):
    held = [one.tags for one in facts.docker.images if "«secret" in str(one.settings)]
    assert found(held) == []
