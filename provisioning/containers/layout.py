"""/opt/connect and /backups, as the document's commands expect them."""

from provisioning.component import Component, Context
from provisioning.resources import Directory, Group, User

ROOT = "/opt/connect"
CONFIG = f"{ROOT}/config"
CERTIFICATES = f"{CONFIG}/haproxy/certs"
BUILD = f"{ROOT}/build"
IMAGES = f"{ROOT}/images"
UPLOADS = f"{ROOT}/uploads"
STATE = f"{ROOT}/state/haproxy"
BACKUPS = "/backups"
ARCHIVE = f"{BACKUPS}/pgbackrest"

USER = "connect"
"""User of the uploads on the host and of the application in its containers: the first uid, 1000."""

OPEN = (
    ROOT,
    CONFIG,
    f"{CONFIG}/haproxy",
    f"{CONFIG}/postgres",
    f"{CONFIG}/patroni",
    f"{CONFIG}/pgbackrest",
)
"""Directories of root that containers' own users read; none of their files holds a secret."""

CLOSED = (BUILD, IMAGES, BACKUPS, CERTIFICATES)


def component(ctx: Context) -> Component:
    """Directories, owners and modes."""
    return Component(
        "layout",
        (
            Group(USER),
            User(USER, USER, f"/home/{USER}", "/bin/bash"),
            *(Directory(path) for path in (*OPEN, f"{CONFIG}/redis", f"{ROOT}/state", STATE)),
            *(Directory(path, 0o700) for path in CLOSED),
            *(Directory(f"{BACKUPS}/{name}", 0o700) for name in ("postgres", "redis", "uploads")),
            Directory(UPLOADS, 0o755, USER, USER),
        ),
        after=("engine",),
    )
