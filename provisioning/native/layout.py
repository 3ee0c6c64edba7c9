"""/opt/connect as A 2.2 draws it: directories, owners, modes, and the link to the release."""

from provisioning.component import Component, Context
from provisioning.native.host import USER
from provisioning.resources import Directory, Ensure, Resource

ROOT = "/opt/connect"

INITIAL = f"{ROOT}/releases/1970-01-01T00-00-00"
"""Where `current` leads until the first deployment: older than any release can be."""

SEED = f"""
install -d -o {USER} -g {USER} {INITIAL}
echo 'No release has been deployed yet: this directory gives `current` somewhere to lead.' \\
  > {INITIAL}/README
ln -s {INITIAL.removeprefix(f"{ROOT}/")} {ROOT}/current
chown -h {USER}:{USER} {ROOT}/current
"""
"""Not resources: deployments move `current` and in the end remove the empty release."""

OWNED = {
    "releases": 0o755,
    "shared": 0o755,
    "shared/config": 0o750,
    "shared/logs": 0o755,
    "shared/uploads": 0o755,
    "shared/ssl": 0o750,
    "monitoring": 0o755,
    "monitoring/grafana-dashboards": 0o755,
}
"""Directories of the application's user. Configuration and keys are closed to others."""


def component(ctx: Context) -> Component:
    """The documented directories. `backup` is root's: each backup's owner has its own below."""
    resources: list[Resource] = [Directory(ROOT, 0o755, USER, USER)]
    resources += [Directory(f"{ROOT}/{name}", mode, USER, USER) for name, mode in OWNED.items()]
    resources += [
        Directory(f"{ROOT}/backup", 0o751, USER, USER),
        Ensure("current leads somewhere", f"test -L {ROOT}/current", SEED),
    ]
    return Component("layout", tuple(resources), after=("host",))
