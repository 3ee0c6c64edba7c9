"""The operations on the two colours, as scripts."""

from pathlib import Path

from provisioning.component import Component, Context
from provisioning.containers import images
from provisioning.containers.layout import CERTIFICATES, ROOT
from provisioning.native.scripts import SOURCES as NATIVE
from provisioning.scripts import LIMITS, component_of

STANZA = "connect"
"""What pgBackRest calls the cluster."""

SOURCES = Path(__file__).parent / "scripts"


def component(ctx: Context) -> Component:
    """Every script, and what they share with those of a native host."""
    shared = (NATIVE / "lib" / name for name in ("common.sh", "health.py", "watching.py"))
    library = (*sorted(SOURCES.glob("lib/*.*")), *shared)
    return component_of(f"{ROOT}/scripts", sorted(SOURCES.glob("*.sh")), library, settings(ctx))


def settings(ctx: Context) -> dict[str, object]:
    """What the scripts need to know of this target."""
    return {
        "DOMAIN": ctx.target.domain,
        "CERTIFICATE": f"{CERTIFICATES}/connect.pem",
        "NODE_IMAGE": images.NODE.tag(images.base_of(ctx)),
        "STANZA": STANZA,
        **{name: LIMITS[name] for name in ("DISK_LIMIT", "MEMORY_LIMIT", "CERTIFICATE_DAYS")},
    }
