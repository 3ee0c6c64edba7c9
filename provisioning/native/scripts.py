"""The operational scripts of A 2.2, as files under /opt/connect/scripts."""

from pathlib import Path

from provisioning.component import Component
from provisioning.native.host import USER
from provisioning.native.layout import ROOT
from provisioning.resources import File

SOURCES = Path(__file__).parent / "scripts"


def component() -> Component:
    """Every script, executable by everybody and writable by its owner."""
    files = tuple(
        File(f"{ROOT}/scripts/{path.name}", path.read_bytes(), 0o755, USER, USER)
        for path in sorted(SOURCES.glob("*.sh"))
    )
    return Component("scripts", files, after=("layout",))
