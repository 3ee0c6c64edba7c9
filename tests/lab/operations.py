"""What the tests of operations share: scripts of a host, its state, and packages to deploy."""

import base64
import hashlib
import io
import json
import tarfile

from connect_infra.lab.release import SOURCE, build_release, node_modules
from tests.lab.shell import sh

SCRIPTS = "/opt/connect/scripts"
LIB = f"{SCRIPTS}/lib"
STATE = "/var/lib/connect-infra/releases"


def script(host, name, *arguments, limit=180):
    """Run one of the host's scripts; its exit code and what it said."""
    return host.exec(" ".join((f"{SCRIPTS}/{name}", *arguments)), limit)


def fresh_backup(host):
    """A snapshot may be days old, and nothing is deployed without a backup of today."""
    if host.exec(f"python3 {SCRIPTS}/lib/health.py --only backup")[0] != 0:
        sh(host, f"{SCRIPTS}/backup-database.sh")


def current(host):
    """The name of the current release."""
    return sh(host, "basename $(readlink /opt/connect/current)")


def releases(host):
    """The directories of releases, hidden ones included."""
    find = "find /opt/connect/releases -mindepth 1 -maxdepth 1 -type d -printf '%f '"
    return set(sh(host, find).split())


LEFTOVERS = f"""
find /opt/connect/releases -mindepth 1 -maxdepth 1 -name '.*'
find /opt/connect -mindepth 1 -maxdepth 1 -name '.*'
find {STATE} -name '*.fresh' -o -name switching
! systemctl is-active --quiet connect-trial || echo connect-trial runs
"""


def leftovers(host):
    """What no deployment may leave behind; empty where it left nothing."""
    return sh(host, LEFTOVERS)


def package(host, directory, version, overlay=None):
    """A package on the host; its path there."""
    built = build_release(directory, version, overlay)
    return put(host, built.read_bytes(), f"/root/{built.name}")


def put(host, content, path):
    """A file on the host."""
    from connect_infra.transport import connect

    with connect(host.target()) as connection:
        connection.put(path, content, mode=0o600)
    return path


def source(name, old, new):
    """One file of the release with a change in it."""
    text = (SOURCE / name).read_text()
    assert old in text
    return {name: text.replace(old, new).encode()}


def locked():
    """Overlay of a release whose dependencies come by a lock file, from archives in the package.

    No registry is in reach of a lab host; `npm ci` treats what lies in a file like the rest.
    """
    modules = node_modules()
    root = modules.parent
    overlay = {str(one.relative_to(root)): None for one in modules.rglob("*") if one.is_file()}
    manifest = json.loads((SOURCE / "package.json").read_text())
    packages = {"": {key: manifest[key] for key in ("name", "version", "dependencies")}}
    for found in sorted(modules.rglob("package.json")):
        above = found.parent.parent.name
        if above != "node_modules" and not above.startswith("@"):
            continue  # a part of a module
        archive = f"vendor/{len(packages)}.tgz"
        overlay[archive] = content = _packed(found.parent)
        said = json.loads(found.read_text())
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
        packages[str(found.parent.relative_to(root))] = {
            "version": said["version"],
            "resolved": f"file:{archive}",
            "integrity": f"sha512-{digest}",
            "dependencies": said.get("dependencies", {}),
        }
    lock = {"lockfileVersion": 3, "requires": True, "packages": packages}
    lock |= {key: manifest[key] for key in ("name", "version")}
    return overlay | {"package-lock.json": json.dumps(lock).encode()}


def _packed(module):
    """A module as npm packs it, without the modules inside."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path in sorted(module.rglob("*")):
            inside = path.relative_to(module)
            if path.is_file() and "node_modules" not in inside.parts:
                archive.add(path, f"package/{inside}")
    return packed.getvalue()


def checks(host):
    """Whether a host calls itself healthy, and each of its health checks by name."""
    said = json.loads(script(host, "health-check.sh", "--json")[1])
    return said["healthy"], {one["check"]: one for one in said["checks"]}


def limit(file, line):
    """Break by a limit that nothing meets, where the part itself can't be broken here."""
    name = line.split("=")[0].strip()
    return (f"cp -a {LIB}/{file} /root/kept; sed -i 's/^{name} *=.*/{line}/' {LIB}/{file}",
            f"mv /root/kept {LIB}/{file}")  # fmt: skip
