"""The operational scripts of A 2.2."""

from pathlib import Path

from provisioning.component import Component, Context
from provisioning.native.layout import ROOT
from provisioning.native.pgbackrest import STANZA
from provisioning.scripts import LIMITS, component_of

SOURCES = Path(__file__).parent / "scripts"


def component(ctx: Context) -> Component:
    """Every script, and what they share with health.py."""
    library = sorted(SOURCES.glob("lib/*.*"))
    return component_of(f"{ROOT}/scripts", sorted(SOURCES.glob("*.sh")), library, settings(ctx))


def settings(ctx: Context) -> dict[str, object]:
    """What the scripts need to know of this target."""
    return {
        "DOMAIN": ctx.target.domain,
        "CERTIFICATE": ctx.expected("nginx.site443.ssl_certificate"),
        "STANZA": STANZA,
        "DATABASE_PORT": ctx.expected("pgbackrest.connect.pg1-port"),
        "POOL_PORT": ctx.expected("pgbouncer.listen_port"),
        "REDIS_CACHE_PORT": ctx.expected("redis-cache.port"),
        "REDIS_QUEUE_PORT": ctx.expected("redis-queue.port"),
        **LIMITS,
    }
