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

SOURCE = Path(__file__).parent / "release"

SHIPPED = ("package.json", "server.js", "migrate.js", "seed.js", "lib", "migrations", "static")
"""What of `lab/release/` belongs into a package; its unit tests don't."""

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


def _sources() -> dict[str, bytes]:
    found = (path for name in SHIPPED for path in _files(SOURCE / name))
    return {str(path.relative_to(SOURCE)): path.read_bytes() for path in found}


def _dependencies() -> dict[str, bytes]:
    modules = node_modules()
    return {
        str(path.relative_to(modules.parent)): path.read_bytes()
        for path in _files(modules)
        if path.name != NPM_NOTES
    }


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())


def node_modules() -> Path:
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
