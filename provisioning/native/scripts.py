"""The operational scripts of A 2.2, as files under /opt/connect/scripts."""

from pathlib import Path

from provisioning.component import Component, Context
from provisioning.native.layout import ROOT
from provisioning.native.pgbackrest import STANZA
from provisioning.resources import Directory, File

SOURCES = Path(__file__).parent / "scripts"

LIBRARY = f"{ROOT}/scripts/lib"

# Figures of document A's own scripts that stand in no setting.
LIMITS = {
    "KEEP_RELEASES": 5,  # 2.2
    "KEEP_DAYS": 30,  # 4.2, of system backups
    "DISK_LIMIT": 80,  # percent; 7.1
    "MEMORY_LIMIT": 90,  # percent; 5.1, HighMemoryUsage
    "CERTIFICATE_DAYS": 30,  # 7.2
}


def component(ctx: Context) -> Component:
    """Every script, what they share, and the settings of this target they need.

    They run as root, so the application's user, whom a visitor may one day be, must not write them.
    """
    scripts = [
        File(f"{ROOT}/scripts/{path.name}", path.read_bytes(), 0o755)
        for path in sorted(SOURCES.glob("*.sh"))
    ]
    shared = [
        File(f"{LIBRARY}/{path.name}", path.read_bytes(), 0o644)
        for path in sorted(SOURCES.glob("lib/*.*"))
    ]
    own = File(f"{LIBRARY}/settings.sh", settings(ctx), 0o644)
    return Component(
        "scripts",
        (Directory(f"{ROOT}/scripts"), Directory(LIBRARY), *scripts, *shared, own),
        after=("layout",),
    )


def settings(ctx: Context) -> bytes:
    """Values for the scripts, as lines that a shell and health.py read alike."""
    values = {
        "DOMAIN": ctx.target.domain,
        "CERTIFICATE": ctx.expected("nginx.site443.ssl_certificate"),
        "STANZA": STANZA,
        "DATABASE_PORT": ctx.expected("pgbackrest.connect.pg1-port"),
        "POOL_PORT": ctx.expected("pgbouncer.listen_port"),
        "REDIS_CACHE_PORT": ctx.expected("redis-cache.port"),
        "REDIS_QUEUE_PORT": ctx.expected("redis-queue.port"),
        **LIMITS,
    }
    lines = [f"{name}={value}" for name, value in values.items()]
    head = "# Written by connect-infra for the scripts beside this directory."
    return "\n".join([head, *lines, ""]).encode()
