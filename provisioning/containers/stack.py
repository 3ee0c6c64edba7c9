"""The containers: the compose file, what its services read, and that all of them run so."""

import hashlib
from collections.abc import Iterable
from decimal import Decimal

from connect_infra.document.values import GIB, MIB
from connect_infra.lab import authority
from connect_infra.lab.release import SOURCE
from connect_infra.targets.lab import state_dir
from provisioning.component import Component, Context
from provisioning.containers import images, monitoring
from provisioning.containers.firewall import BRIDGE
from provisioning.containers.layout import (
    ARCHIVE,
    CERTIFICATES,
    CONFIG,
    ROOT,
    STATE,
    UPLOADS,
)
from provisioning.containers.scripts import STANZA
from provisioning.native.postgresql import SCRAM_CHECK, SCRAM_MAKE
from provisioning.render import render
from provisioning.resources import Ensure, File, Resource, Symlink

SUBNET = "10.89.0.0/24"
"""The containers' network: a range of its own, which pg_hba.conf names."""

SECRETS = f"{ROOT}/.env.production.local"

DOCUMENTED_MEMORY = 125 * GIB

SHARES = {
    "app": 6,
    "patroni": 20,
    "redis": 10,
    "etcd": 4,
    "haproxy": 3,
    "prometheus": 4,
    "exporter": 1,
}
"""Percent of the host's memory that one container of the service may take, 81 in all."""

COMPOSE = """
cd {root}
compose() {{
  if docker compose version >/dev/null 2>&1; then docker compose -f {file} "$@"
  else docker-compose -f {file} "$@"; fi
}}
"""
"""Compose v2 where there is one, else v1."""

WAIT = """
for second in $(seq {seconds}); do
  missing=""
  for name in {names}; do
    state=$(docker inspect --format '{{{{.State.Health.Status}}}}' $name 2>/dev/null || echo absent)
    [ "$state" = healthy ] || missing="$missing $name ($state)"
  done
  [ -z "$missing" ] && exit 0
  sleep 1
done
echo "not healthy after {seconds} s:$missing"; exit 1
"""

BELOW = ("etcd", "patroni1", "patroni2", "connect_postgres", "connect_redis")
"""The containers that the application needs, by name."""

MONITORING = (
    *("prometheus", "postgres_exporter", "redis_exporter", "node_exporter"),
    *("alertmanager", "alert_log"),
)

ALL = (*BELOW, "connect_app1", "connect_app2", "haproxy", *MONITORING)

ASK = "python3, -c, 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=4)'"
"""How a container without curl asks itself, as the compose file has it."""

AS_WRITTEN = """
compose config --hash='*' > /dev/null
compose config --hash='*' | while read -r service hash; do
  id=$(docker ps --quiet --no-trunc --filter label=com.docker.compose.project=connect \\
    --filter label=com.docker.compose.service=$service)
  [ -n "$id" ] || {{ echo "$service does not run"; exit 1; }}
  label='{{{{index .Config.Labels "com.docker.compose.config-hash"}}}}'
  [ "$(docker inspect --format "$label" $id)" = "$hash" ] ||
    {{ echo "$service does not run as the compose file says"; exit 1; }}
  image=$(docker inspect --format '{{{{.Config.Image}}}}' $id)
  [ "$(docker inspect --format '{{{{.Image}}}}' $id)" = \\
    "$(docker image inspect --format '{{{{.Id}}}}' $image)" ] ||
    {{ echo "$service runs another image than $image"; exit 1; }}
done
"""

ADMIN = """
admin() {
  PGPASSWORD="$POSTGRES_ADMIN_PASSWORD" docker exec -i -e PGPASSWORD connect_postgres \\
    psql -XAtq -v ON_ERROR_STOP=1 -U postgres -d postgres "$@"
}
"""
"""The primary, wherever it is, as the superuser; the password is in no argument list."""

ROLE_CHECK = (
    ADMIN
    + """
stored=$(admin -c "SELECT rolpassword FROM pg_authid WHERE rolname = 'connect' AND rolcanlogin
  AND NOT (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)")
STORED="$stored" python3 -c "$SCRAM_CHECK"
"""
)

IN_PLACE = """
printf '%s' "$WANTED" | sha256sum --check --status ||
  { echo "its files are not as wanted"; exit 1; }
"""
"""A check that is to be made again when a file changes must not hold before it has."""

ROLE_DO = ADMIN + 'python3 -c "$SCRAM_MAKE" | admin'

DATABASE_CHECK = (
    ADMIN
    + """
[ "$(admin -c "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'connect'")" \\
  = connect ] || { echo "no database connect that belongs to connect"; exit 1; }
"""
)

DATABASE_DO = ADMIN + 'admin -c "CREATE DATABASE connect OWNER connect"'

MIGRATED = """
applied=$(docker exec connect_postgres psql -XAtq -U connect -c "SELECT migration_name
  FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL" 2>&1) ||
  {{ echo "$applied"; exit 1; }}
for name in {names}; do
  printf '%s\\n' "$applied" | grep -qx "$name" || {{ echo "$name is not applied"; exit 1; }}
done
docker exec connect_postgres psql -XAtq -U connect -c 'SELECT id FROM funding_programs LIMIT 1' |
  grep -q . || {{ echo "there are no funding programs"; exit 1; }}
"""

MIGRATE = """
for step in migrate seed; do
  compose run --rm -T --no-deps app1 \\
    sh -c "MIGRATE_DATABASE_URL=\\$DATABASE_URL exec node $step.js" </dev/null >&2
done
"""

STANZA_CHECK = f"""
code=$(docker exec patroni1 pgbackrest --stanza={STANZA} --log-level-console=error \\
  info --output=json | jq '.[0].status.code')
case "$code" in 0 | 2) ;; *) echo "pgBackRest's status is ${{code:-unknown}}"; exit 1 ;; esac
"""
"""0 is ok, 2 is `no valid backups`: the stanza is there."""

RENEW = f"{ROOT}/scripts/renew-nodes.sh"
"""Compose would make both of them anew at once, and the database would be away."""

STANZA_DO = f"bash -euc '. {ROOT}/scripts/lib/database.sh; backrest \"$(leader)\" stanza-create'"

VALIDATE = """
[ -e "$STAGE{certificates}" ] || cp -a {certificates} "$STAGE{config}/haproxy/"
for door in haproxy postgres; do
  docker run --rm --network none --user 0 --volume "$STAGE{config}/$door:/etc/haproxy:ro" {image} \\
    haproxy -c -q -f /etc/haproxy/haproxy.cfg
done
"""
"""HAProxy itself reads both of its files before one is put in place; without a network, or it would
ask for its servers' names, in vain and for minutes."""

RELOADED = f"""
[ -S /run/haproxy/admin.sock ] || {{ echo "haproxy does not run"; exit 1; }}
up=$(echo 'show info' | socat -t 5 - /run/haproxy/admin.sock | sed -n 's/^Uptime_sec: //p')
changed=$(stat -c %Y {CONFIG}/haproxy/haproxy.cfg {CERTIFICATES}/connect.pem | sort -n | tail -1)
[ $(( $(date +%s) - up )) -ge $changed ] || {{ echo "haproxy has not read its files"; exit 1; }}
"""

RELOAD = f"""
echo 'show servers state' | socat -t 5 - /run/haproxy/admin.sock > {STATE}/servers.new
mv {STATE}/servers.new {STATE}/servers
sleep 1
docker exec haproxy kill -HUP 1
for second in $(seq 10); do ( {RELOADED} ) && exit 0; sleep 1; done
"""
"""The colours' states are kept over the reload, and no connection is cut. Not by `docker kill`: to
Docker that is somebody who stops the container, whatever the signal, and should it crash one day it
is not started again."""


def component(ctx: Context) -> Component:
    """Configuration, secrets, database, migrations, and every container."""
    file = ctx.expected("containers.compose_file")
    compose = COMPOSE.format(root=ROOT, file=file)
    secrets = ctx.secrets
    admin = {
        "POSTGRES_ADMIN_PASSWORD": secrets["POSTGRES_ADMIN_PASSWORD"],
        "POSTGRES_PASSWORD": secrets["POSTGRES_PASSWORD"],
        "SCRAM_CHECK": SCRAM_CHECK,
        "SCRAM_MAKE": SCRAM_MAKE,
    }
    migrations = " ".join(sorted(path.stem for path in (SOURCE / "migrations").glob("*.sql")))
    below = WAIT.format(seconds=120, names=" ".join(BELOW))
    everything = WAIT.format(seconds=120, names=" ".join(ALL))
    as_written = compose + AS_WRITTEN.format()
    files = _files(ctx)
    resources: list[Resource] = [
        *files,
        Ensure(
            "the nodes have an archive",
            f"""[ "$(stat -c '%u %a' {ARCHIVE})" = '{images.POSTGRES_UID} 700' ]""",
            f"install -d -m 700 -o {images.POSTGRES_UID} -g {images.POSTGRES_UID} {ARCHIVE}",
        ),
        Ensure(
            "the database's nodes run as the compose file says",
            f"{IN_PLACE}{RENEW} --check",
            RENEW,
            _digests(files, file, SECRETS),
        ),
        Ensure(
            "database and Redis run",
            below.replace("seq 120", "seq 1"),
            f"{compose} compose up -d etcd patroni1 patroni2 postgres redis\n{below}",
        ),
        Ensure(f"stanza {STANZA}", STANZA_CHECK, STANZA_DO),
        Ensure("role connect", ROLE_CHECK, ROLE_DO, admin),
        Ensure("database connect", DATABASE_CHECK, DATABASE_DO, admin),
    ]
    if ctx.target.lab:  # elsewhere migrations are part of a deployment
        migrated = MIGRATED.format(names=migrations)
        resources.append(Ensure("tables and data", migrated, compose + MIGRATE))
    resources += [
        Ensure(
            "every container runs as the compose file says",
            IN_PLACE + as_written,
            f"{compose} compose up -d --remove-orphans\n{everything}",
            _digests(files, file, SECRETS),
        ),
        Ensure(
            "haproxy runs with its files",
            IN_PLACE + RELOADED,
            RELOAD,
            _digests(files, f"{CONFIG}/haproxy/haproxy.cfg", f"{CERTIFICATES}/connect.pem"),
        ),
    ]
    base = images.base_of(ctx)
    return Component(
        "stack",
        tuple(resources),
        validate=VALIDATE.format(
            certificates=CERTIFICATES, config=CONFIG, image=images.HAPROXY.tag(base)
        ),
        after=("images", "docker-firewall", "monitoring", "scripts"),
    )


def _digests(files: Iterable[Resource], *paths: str) -> dict[str, str]:
    """What IN_PLACE checks; as a secret, for a digest of secrets is nobody's business either."""
    wanted = [
        f"{hashlib.sha256(file.content).hexdigest()}  {file.path}"
        for file in files
        if isinstance(file, File) and file.path in paths
    ]
    return {"WANTED": "\n".join([*wanted, ""])}


def _files(ctx: Context) -> list[Resource]:
    configuration = {
        name: render(
            f"containers/{name}.j2", subnet=SUBNET, stanza=STANZA, archive=ARCHIVE, **_sizes(ctx)
        )
        for name in (
            *("patroni.yml", "pgbackrest.conf", "redis.conf", "postgres.cfg", "haproxy.cfg"),
        )
    }
    configuration |= monitoring.files()
    digests = {
        name: hashlib.sha256(content).hexdigest()[:12] for name, content in configuration.items()
    }
    base = images.base_of(ctx)
    compose = render(
        "containers/docker-compose.production.yml.j2",
        tags={image.name: image.tag(base) for image in images.SERVICES},
        digests=digests,
        subnet=SUBNET,
        bridge=BRIDGE,
        uploads=UPLOADS,
        archive=ARCHIVE,
        ask=ASK,
        alert_log=monitoring.ALERT_LOG.rpartition(":")[2],
        **_sizes(ctx),
    )
    environment = render("containers/env.j2", secrets=ctx.secrets)
    return [
        File(ctx.expected("containers.compose_file"), compose),
        File(SECRETS, environment, 0o600, secret=True),
        Symlink(f"{ROOT}/.env", SECRETS.removeprefix(f"{ROOT}/")),
        File(f"{ROOT}/.gitignore", b".env\n.env.production.local\n"),
        File(f"{ROOT}/{ctx.expected('containers.haproxy_config')}", configuration["haproxy.cfg"]),
        File(f"{CONFIG}/postgres/haproxy.cfg", configuration["postgres.cfg"]),
        File(f"{CONFIG}/patroni/patroni.yml", configuration["patroni.yml"]),
        File(f"{CONFIG}/pgbackrest/pgbackrest.conf", configuration["pgbackrest.conf"]),
        File(f"{CONFIG}/redis/redis.conf", configuration["redis.conf"]),
        _certificate(ctx),
    ]


def _sizes(ctx: Context) -> dict[str, object]:
    """Megabytes that each service's container may take, and PostgreSQL's share of its own."""
    memory = ctx.target.memory or DOCUMENTED_MEMORY
    limits = {name: int(Decimal(memory) * share / 100) // MIB for name, share in SHARES.items()}
    return {"limits": limits, "shared_buffers": limits["patroni"] // 4}


def _certificate(ctx: Context) -> Resource:
    path = f"{CERTIFICATES}/connect.pem"
    if not ctx.target.lab:
        return Ensure(
            f"certificate of {ctx.target.domain}",
            f"test -s {path}",
            f"echo 'there is none: put certificate, chain and key into {path}'; exit 1",
        )
    issued = authority.issue(state_dir().absolute(), ctx.target.domain)
    return File(path, issued.chain + issued.key, 0o600, secret=True)
