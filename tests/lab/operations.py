"""What the tests of operations share: scripts of a host, its state, and packages to deploy."""

from connect_infra.lab.release import SOURCE, build_release
from tests.lab.shell import sh

SCRIPTS = "/opt/connect/scripts"
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
