"""The images: Debian's own packages on one base, built on the host itself.

On a lab host the base is the lab's own image, which brings its apt archive along; elsewhere it is
the official Debian image. An image's tag holds a digest of what it is built from, so a change of
that builds another image, and the containers that use it are made anew.
"""

import hashlib
from dataclasses import dataclass

from connect_infra.lab import image as lab_image
from connect_infra.targets.lab import state_dir
from provisioning.component import Component, Context
from provisioning.containers.layout import BUILD, IMAGES
from provisioning.native.release import VERSION, package
from provisioning.render import render
from provisioning.resources import Directory, Ensure, File, Resource

OFFICIAL = "debian:bookworm-slim"

LOAD = f"tar -C {lab_image.ON_HOST} -c . | docker load"


@dataclass(frozen=True)
class Image:
    """An image of one service: its packages, and what its Dockerfile says after them."""

    name: str
    packages: tuple[str, ...]
    lines: tuple[str, ...]
    before: tuple[str, ...] = ()
    """What its Dockerfile says before the packages are installed."""

    def dockerfile(self) -> bytes:
        """Its Dockerfile, the same on every host."""
        return render("containers/Dockerfile.j2", image=self)

    def tag(self, base: str) -> str:
        """Its name, with a digest of what it is made of."""
        digest = hashlib.sha256(base.encode() + self.dockerfile()).hexdigest()
        return f"connect/{self.name}:{digest[:12]}"


NODE = Image("node", ("nodejs",), ())

HAPROXY = Image(
    "haproxy",
    ("haproxy", "socat", "postgresql-client-15"),
    ('CMD ["haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"]',),
)
"""The front door, and the door to the database, which has a client for the documented commands."""

POSTGRES_UID = 970
"""User postgres of the nodes' image, by number: it owns the archive on the host."""

PATRONI = Image(
    "patroni",
    ("patroni", "postgresql-15", "postgresql-contrib", "pgbackrest"),
    (
        "RUN install -d -o postgres -g postgres -m 700 /var/lib/postgresql/patroni",
        "USER postgres",
        'CMD ["patroni", "/etc/patroni/patroni.yml"]',
    ),
    (
        f"RUN groupadd --system --gid {POSTGRES_UID} postgres && useradd --system "
        f"--uid {POSTGRES_UID} --gid postgres --home-dir /var/lib/postgresql "
        "--shell /bin/bash postgres",
    ),
)

ETCD = Image(
    "etcd",
    ("etcd-server", "etcd-client"),
    (
        "RUN install -d -o etcd -g etcd -m 700 /var/lib/etcd",
        "ENV ETCDCTL_API=3",
        "USER etcd",
        'CMD ["etcd"]',
    ),
)

REDIS = Image(
    "redis",
    ("redis-server", "redis-tools"),
    (
        "RUN install -d -o redis -g redis /data",
        "USER redis",
        "WORKDIR /data",
        'CMD ["sh", "-c", "umask 077; { cat /etc/connect/redis.conf; '
        "printf 'requirepass %s\\\\n' \\\"$REDIS_PASSWORD\\\"; } > /tmp/redis.conf"
        ' && exec redis-server /tmp/redis.conf"]',
    ),
)
"""The password comes from the environment: neither an argument nor a file of the host holds it."""

PROMETHEUS = Image(
    "prometheus",
    (
        "prometheus",
        "prometheus-alertmanager",
        "prometheus-node-exporter",
        "prometheus-postgres-exporter",
        "prometheus-redis-exporter",
    ),
    (
        "RUN install -d -o prometheus -g prometheus "
        "/var/lib/prometheus/metrics2 /var/lib/prometheus/alertmanager",
        "USER prometheus",
        "WORKDIR /var/lib/prometheus",
    ),
)
"""Prometheus and the exporters; the compose file says which of them a container runs."""

SERVICES = (NODE, HAPROXY, PATRONI, ETCD, REDIS, PROMETHEUS)


def base_of(ctx: Context) -> str:
    """What the images are built on."""
    return lab_image.tag() if ctx.target.lab else OFFICIAL


def component(ctx: Context) -> Component:
    """Every image, the application's first release on a lab host included."""
    base = base_of(ctx)
    resources: list[Resource] = []
    if ctx.target.lab:
        resources.append(Ensure(f"image {base}", f"docker image inspect {base} >/dev/null", LOAD))
    for image in SERVICES:
        resources += _built(image, base)
    resources += _release(ctx, base) if ctx.target.lab else [_released()]
    return Component("images", tuple(resources), after=("engine", "layout"))


def _built(image: Image, base: str) -> list[Resource]:
    home, tag = f"{BUILD}/{image.name}", image.tag(base)
    return [
        Directory(home, 0o700),
        File(f"{home}/Dockerfile", image.dockerfile()),
        Ensure(
            f"image {tag}",
            f"docker image inspect {tag} >/dev/null",
            f"docker build --quiet --build-arg BASE={base} --tag {tag} {home}",
        ),
    ]


def _release(ctx: Context, base: str) -> list[Resource]:
    """The document's build: tagged by version, saved, and what both colours run at first."""
    home, tag = f"{BUILD}/connect", f"connect:{VERSION}"
    saved = f"{IMAGES}/connect-{VERSION}.tar.gz"
    dockerfile = render("containers/Dockerfile.production.j2", version=VERSION)
    colours = "latest blue green"
    return [
        Directory(home, 0o700),
        File(f"{home}/Dockerfile.production", dockerfile),
        File(
            f"{home}/connect-{VERSION}.tar.gz",
            package(state_dir().absolute() / "release").read_bytes(),
        ),
        Ensure(
            f"image {tag}",
            f"docker image inspect {tag} >/dev/null",
            f"docker build --quiet --build-arg BASE={NODE.tag(base)} --tag {tag} "
            f"--file {home}/Dockerfile.production {home}",
        ),
        Ensure(
            f"{saved} is saved",
            f"test -s {saved}",
            f"docker save {tag} | gzip -1 > {saved}.new && mv {saved}.new {saved}",
        ),
        Ensure(
            "both colours have a release",
            f"for name in {colours}; do docker image inspect connect:$name >/dev/null; done",
            f"for name in {colours}; do docker image inspect connect:$name >/dev/null 2>&1 || "
            f"docker tag {tag} connect:$name; done",
        ),
    ]


def _released() -> Ensure:
    return Ensure(
        "both colours have a release",
        "for name in latest blue green; do docker image inspect connect:$name >/dev/null; done",
        "echo 'there is no image connect:latest, connect:blue or connect:green; build and load "
        "a release first'; exit 1",
    )
