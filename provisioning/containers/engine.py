"""The Docker engine and Compose, from the host's own packages."""

import json

from provisioning.component import Activation, Component, Context
from provisioning.resources import Directory, File, Package, Unit

CONFIGURATION = "/etc/docker/daemon.json"
UNIT = "docker.service"

TOOLS = ("curl", "jq", "openssl", "socat")
"""What the document's own commands call on the host."""

ANSWERS = """
for half_second in $(seq 60); do
  docker version >/dev/null 2>&1 && exit 0
  sleep 0.5
done
docker version
"""


def component(ctx: Context) -> Component:
    """The engine; containers go on running while it restarts, and their logs have an end."""
    options: dict[str, object] = {
        "live-restore": True,
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "5"},
    }
    if ctx.target.lab:  # its systemd keeps containers below the host's own cgroup
        options["exec-opts"] = ["native.cgroupdriver=systemd"]
    content = json.dumps(options, indent=2, sort_keys=True) + "\n"
    return Component(
        "engine",
        (
            *(Package(name) for name in TOOLS),
            Package("docker.io"),
            Package("docker-compose"),
            Directory("/etc/docker"),
            File(CONFIGURATION, content.encode()),
            Unit(UNIT),
        ),
        validate=f'jq -e . "$STAGE{CONFIGURATION}" >/dev/null',
        verify=ANSWERS,
        activation=Activation(UNIT),
    )
