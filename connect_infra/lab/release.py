"""Packages of the stand-in release, as the document's deployment expects them.

A package is a tar.gz that is unpacked inside a release directory: the sources, migrations and
static files of `lab/release/`, its VERSION, and the dependencies. Those are pure JavaScript and go
into the package, because a lab host reaches no registry. The same input gives the same bytes.
"""

import gzip
import hashlib
import io
import json
import re
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from connect_infra.errors import LabError
from connect_infra.lab import npm
from connect_infra.targets.lab import state_dir
from connect_infra.transport import Connection

SOURCE = Path(__file__).parent / "release"

SHIPPED = ("package.json", "server.js", "migrate.js", "seed.js", "lib", "migrations", "static")
"""What of `lab/release/` belongs into a package; its unit tests don't."""

INSTALL = """\
set -eu
cd /
release=/opt/connect/releases/{version}
rm -rf "$release"
install -d -o connect -g connect "$release"
runuser -u connect -- tar -C "$release" -xzf {package}
rm {package}
cd "$release"
runuser -u connect -- sh -euc '
  set -a; . /opt/connect/shared/config/.env.production
  MIGRATE_DATABASE_URL=$(echo "$DATABASE_URL" | sed s/:6432/:5432/)
  node migrate.js; node seed.js'
ln -sfn "$release" /opt/connect/next
mv -T /opt/connect/next /opt/connect/current
systemctl reload-or-restart connect.service
for second in $(seq 60); do
  curl -s -m 5 --unix-socket /run/connect.sock http://localhost/api/health | \
    grep '"status":"healthy","version":"{version}"' && exit 0
  sleep 1
done
echo "the application does not serve {version}"
exit 1
"""
"""Run as root. Migrations and data need PostgreSQL itself: no lock survives the pooler."""

NPM_OPTIONS = ("--omit=dev", "--ignore-scripts", "--no-package-lock", "--no-bin-links")

NPM_NOTES = ".package-lock.json"
"""npm's note in node_modules of where it downloaded from."""


def build_release(
    out: Path, version: str, overlay: Mapping[str, bytes | None] | None = None
) -> Path:
    """Build `connect-<version>.tar.gz` in the directory `out` and return its path.

    `overlay` adds or replaces files by their path in the release, or leaves them out (None): so a
    test makes a release that fails. LabError for a version that can't be a file name, or when npm
    can't fetch the dependencies.
    """
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z._-]*", version):
        raise LabError(
            expected="a version of letters, digits, dots, dashes and underscores",
            found=repr(version),
            where="release package",
            remedy="give another version",
        )
    files = _sources() | _dependencies() | {"VERSION": f"{version}\n".encode()}
    chosen = {**files, **(overlay or {})}
    out.mkdir(parents=True, exist_ok=True)
    package = out / f"connect-{version}.tar.gz"
    package.write_bytes(
        _archive({path: content for path, content in chosen.items() if content is not None})
    )
    return package


def install(connection: Connection, package: Path) -> None:
    """Put a package of `build_release` on a provisioned lab host, with its data, and run it.

    This is no deployment: nothing is checked before and nothing taken back. LabError with what
    the host said when a step fails, or when the release is not served after a minute.
    """
    version = package.name.removeprefix("connect-").removesuffix(".tar.gz")
    staged = f"/tmp/{package.name}"
    connection.put(staged, package.read_bytes(), mode=0o644)
    script = INSTALL.format(version=version, package=staged)
    done = connection.run(script, sudo=True, timeout=240)
    if done.code != 0:
        said = (done.stderr + done.stdout).strip().splitlines()
        raise LabError(
            expected=f"release {version} installed and served",
            found=said[-1] if said else f"exit code {done.code}",
            where=connection.name,
            remedy="is the host provisioned? Run connect-infra apply, then again",
        )


def _sources() -> dict[str, bytes]:
    found = (path for name in SHIPPED for path in _files(SOURCE / name))
    return {str(path.relative_to(SOURCE)): path.read_bytes() for path in found}


def _dependencies() -> dict[str, bytes]:
    modules = _node_modules()
    return {
        str(path.relative_to(modules.parent)): path.read_bytes()
        for path in _files(modules)
        if path.name != NPM_NOTES
    }


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())


def _node_modules() -> Path:
    """The dependencies, fetched once for each content of package.json."""
    manifest = (SOURCE / "package.json").read_bytes()
    kept = state_dir() / "release" / hashlib.sha256(manifest).hexdigest()[:16]
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fetching-", dir=kept.parent) as temporary:
            _fetch(Path(temporary, "release"), manifest, kept)
    return kept / "node_modules"


def _fetch(directory: Path, manifest: bytes, kept: Path) -> None:
    directory.mkdir()
    (directory / "package.json").write_bytes(manifest)
    npm.install(
        [*NPM_OPTIONS, "--prefix", str(directory)],
        what=", ".join(json.loads(manifest)["dependencies"]),
        where="release package",
    )
    native = [path.name for path in directory.rglob("*.node")]
    if native:
        raise LabError(
            expected="dependencies in pure JavaScript, which run on any host",
            found=", ".join(native),
            where=str(SOURCE / "package.json"),
            remedy="choose other dependencies",
        )
    try:
        directory.rename(kept)
    except OSError:
        # Somebody else fetched the same in the meantime.
        if not kept.exists():
            raise


def _archive(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
