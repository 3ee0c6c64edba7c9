"""A first release on a lab host, so that the platform runs; on servers people deploy their own."""

import base64
import hashlib
import tempfile
from pathlib import Path

from connect_infra.lab.release import SOURCE, build_release
from connect_infra.targets.lab import state_dir
from provisioning.component import Component, Context
from provisioning.native.host import USER
from provisioning.native.layout import ROOT
from provisioning.resources import Ensure, File, Resource

VERSION = "1.0.0"

PACKAGE = f"{ROOT}/releases/connect-{VERSION}.tar.gz"

UPLOAD = f"{ROOT}/shared/uploads/connect-infra.png"
"""Something that a user has uploaded: how uploads are answered can be seen by one only."""

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJg"
    "gg=="
)

# `current` moves last: whatever fails before leaves the host without a release, to be tried again.
DEPLOY = f"""
name=$(date -u +%Y-%m-%dT%H-%M-%S)
cd {ROOT}/releases
rm -rf .first
install -d -o {USER} -g {USER} .first
tar -xzf {PACKAGE} -C .first --no-same-owner
chown -R {USER}:{USER} .first
for step in migrate seed; do
  runuser -u {USER} -- node .first/$step.js >&2
done
mv .first "$name"
ln -sfn "releases/$name" {ROOT}/.current
mv -T {ROOT}/.current {ROOT}/current
chown -h {USER}:{USER} {ROOT}/current
"""


def component(ctx: Context) -> Component:
    """The lab's stand-in release with its tables and the documented amount of data."""
    return Component(
        "release",
        _on_a_lab_host(ctx) if ctx.target.lab else (),
        after=("layout", "node", "postgresql"),
    )


def _on_a_lab_host(ctx: Context) -> tuple[Resource, ...]:
    content = package(state_dir().absolute() / "release").read_bytes()
    # Straight to PostgreSQL: migrations take locks that a transaction pool would lose.
    url = f"postgresql://connect:{ctx.secrets['POSTGRES_PASSWORD']}@127.0.0.1:5432/connect"
    return (
        File(PACKAGE, content, 0o644, USER, USER),
        File(UPLOAD, PICTURE, 0o644, USER, USER),
        Ensure(
            "a release is deployed",
            f"test -e {ROOT}/current/server.js",
            DEPLOY,
            {"MIGRATE_DATABASE_URL": url},
        ),
    )


def package(home: Path) -> Path:
    """The package of the release's sources as they are now; built once for each content."""
    digest = hashlib.sha256()
    for path in sorted(path for path in SOURCE.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(SOURCE)}\0".encode() + path.read_bytes())
    kept = home / f"connect-{VERSION}-{digest.hexdigest()[:16]}.tar.gz"
    if not kept.exists():
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="building-", dir=home) as building:
            build_release(Path(building), VERSION).rename(kept)
    return kept
