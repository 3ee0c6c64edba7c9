"""Operational scripts as files on a host of either topology."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from provisioning.component import Component
from provisioning.resources import Directory, File

# Figures of document A's own scripts that stand in no setting.
LIMITS = {
    "KEEP_RELEASES": 5,  # 2.2
    "KEEP_DAYS": 30,  # 4.2, of system backups
    "DISK_LIMIT": 80,  # percent; 7.1
    "MEMORY_LIMIT": 90,  # percent; 5.1, HighMemoryUsage
    "CERTIFICATE_DAYS": 30,  # 7.2
}


def component_of(
    place: str, scripts: Iterable[Path], library: Iterable[Path], settings: Mapping[str, object]
) -> Component:
    """In `place` every script; below it what they share, and what they need to know of the target.

    They run as root, so the application's user, whom a visitor may one day be, must not write them.
    """
    shared = f"{place}/lib"
    return Component(
        "scripts",
        (
            Directory(place),
            Directory(shared),
            *(File(f"{place}/{path.name}", path.read_bytes(), 0o755) for path in scripts),
            *(File(f"{shared}/{path.name}", path.read_bytes(), 0o644) for path in library),
            File(f"{shared}/settings.sh", _lines(settings), 0o644),
        ),
        after=("layout",),
    )


def _lines(settings: Mapping[str, object]) -> bytes:
    """The settings, as lines that a shell and health.py read alike."""
    lines = [f"{name}={value}" for name, value in settings.items()]
    head = "# Written by connect-infra for the scripts beside this directory."
    return "\n".join([head, *lines, ""]).encode()
