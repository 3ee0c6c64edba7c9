"""The operations on the two colours, as scripts under /opt/connect/scripts."""

from pathlib import Path

from provisioning.component import Component, Context
from provisioning.containers import images
from provisioning.containers.layout import CERTIFICATES, ROOT
from provisioning.native.scripts import LIBRARY, LIMITS
from provisioning.native.scripts import SOURCES as NATIVE
from provisioning.resources import Directory, File

STANZA = "connect"
"""What pgBackRest calls the cluster."""

SOURCES = Path(__file__).parent / "scripts"


def component(ctx: Context) -> Component:
    """Every script, what they share with those of a native host, and this target's settings."""
    scripts = [
        File(f"{ROOT}/scripts/{path.name}", path.read_bytes(), 0o755)
        for path in sorted(SOURCES.glob("*.sh"))
    ]
    shared = [
        File(f"{LIBRARY}/{path.name}", path.read_bytes(), 0o644)
        for path in (*sorted(SOURCES.glob("lib/*.sh")), NATIVE / "lib" / "common.sh")
    ]
    own = File(f"{LIBRARY}/settings.sh", settings(ctx), 0o644)
    return Component(
        "scripts",
        (Directory(f"{ROOT}/scripts"), Directory(LIBRARY), *scripts, *shared, own),
        after=("layout",),
    )


def settings(ctx: Context) -> bytes:
    """Values for the scripts, a line each."""
    values = {
        "DOMAIN": ctx.target.domain,
        "CERTIFICATE": f"{CERTIFICATES}/connect.pem",
        "NODE_IMAGE": images.NODE.tag(images.base_of(ctx)),
        "STANZA": STANZA,
        "DISK_LIMIT": LIMITS["DISK_LIMIT"],
    }
    lines = [f"{name}={value}" for name, value in values.items()]
    head = "# Written by connect-infra for the scripts beside this directory."
    return "\n".join([head, *lines, ""]).encode()
