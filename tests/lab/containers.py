"""What the tests of a Docker host share: its containers, its front door, its database."""

import json
import time

from connect_infra.facts.docker import PLATFORM, WATCHERS
from tests.lab.operations import script
from tests.lab.shell import sh

FIRST = "1.0.0"
"""The release that a provisioned Docker host runs."""

COMPOSE = "/opt/connect/docker-compose.production.yml"

DOOR = "/opt/connect/config/haproxy/haproxy.cfg"

STATES = """
docker inspect --format '{{.Name}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}\
{{end}}' $(docker ps --all --quiet)
"""


def wait_for_containers(host, names=(*PLATFORM, *WATCHERS), limit=120):
    """Until all of these are healthy; returns how long that took."""
    started = time.monotonic()
    while True:
        _, said = host.exec(STATES)
        healthy = {
            line.split()[0].strip("/")
            for line in said.splitlines()
            if "healthy" in line.split() and "running" in line.split()
        }
        missing = set(names) - healthy
        if not missing:
            return time.monotonic() - started
        assert time.monotonic() - started < limit, f"not healthy: {sorted(missing)}: {said}"
        time.sleep(0.5)


def ask_haproxy(host, command):
    """What HAProxy says at its runtime socket."""
    return sh(host, f"echo '{command}' | socat -t 5 - /var/run/haproxy/admin.sock")


def servers(host):
    """Each server of the backend: (status, whether it is a backup)."""
    lines = ask_haproxy(host, "show stat").splitlines()
    names = lines[0].removeprefix("# ").split(",")
    rows = [dict(zip(names, line.split(","), strict=False)) for line in lines[1:] if line]
    return {
        row["svname"]: (row["status"], row["bck"] == "1")
        for row in rows
        if row["pxname"] == "connect" and row["svname"].startswith("app")
    }


def serving(host):
    """The colour that new requests go to."""
    return "app1" if servers(host)["app1"][0].startswith("UP") else "app2"


def version_of(host, app):
    """The release that a colour's container runs."""
    label = '{{index .Config.Labels "connect.version"}}'
    return sh(host, f"docker inspect --format '{label}' connect_{app}")


def sql(host, statement, container="connect_postgres", user="connect"):
    """What psql prints, run as the document runs it."""
    return sh(
        host,
        f"docker exec -i {container} psql -XAtq -v ON_ERROR_STOP=1 -U {user} -d connect <<'SQL'\n"
        f"{statement}\nSQL",
    )


def cluster(host):
    """Patroni's own view of its nodes: name to role and state."""
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    said = sh(
        host,
        f"for node in patroni1 patroni2; do address=$(docker inspect --format '{form}' $node); "
        'if curl -s --max-time 3 "http://$address:8008/cluster"; then break; fi; done',
    )
    return {one["name"]: (one["role"], one["state"]) for one in json.loads(said)["members"]}


def leader(host):
    """The node that is the primary now, as Patroni says."""
    (name,) = [name for name, (role, _) in cluster(host).items() if role == "leader"]
    return name


def fresh_backup(host):
    """A snapshot may be days old, and nothing is deployed without a backup of today."""
    newest = "find -L /backups/postgres/latest.sql -mmin -1500"
    sh(host, f'[ -n "$({newest})" ] || /opt/connect/scripts/backup-database.sh')


def as_at_first(host):
    """Both colours run the first release, app1 serves."""
    if version_of(host, serving(host)) != FIRST:
        code, said = script(host, "rollback-full.sh", FIRST)
        assert code == 0, said
    if version_of(host, "app1") != version_of(host, "app2") or serving(host) != "app1":
        code, said = script(host, "confirm.sh")
        assert code == 0, said
    assert (serving(host), version_of(host, "app1")) == ("app1", FIRST)
    wait_for_containers(host)
