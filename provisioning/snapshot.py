"""The image of a provisioned lab host: made once, kept until what decides how it looks changes."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from connect_infra.document import Topology
from connect_infra.lab import Lab
from provisioning import provision

ROOT = Path(__file__).resolve().parents[1]
DECISIVE = ("connect_infra/document", "connect_infra/lab", "provisioning")
"""Documents, the lab itself, provisioning."""


def key() -> str:
    """A hash of all that decides how a provisioned host looks."""
    digest = hashlib.sha256()
    for folder in DECISIVE:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def provisioned(lab: Lab, progress: Callable[[str], None], topology: Topology = "native") -> str:
    """Return the kept image; where there is none, provision a bare host over SSH and keep it."""
    name = f"{topology}-{key()}"
    kept = lab.find_snapshot(name)
    if kept is not None:
        return kept
    host = lab.up(f"seed-{topology}", topology=topology)
    provision(host.target(), progress)
    return lab.snapshot(host, name)
