"""What Docker publishes passes ufw by (E103): the same ports are let through, and no other.

Docker forwards a published port before ufw's chains are asked. The chain DOCKER-USER is asked
first, so it says for containers what ufw says for the host.
"""

from provisioning.component import Activation, Component
from provisioning.render import render
from provisioning.resources import File, Unit

UNIT = "connect-docker-user.service"
BRIDGE = "br-connect"
PUBLIC = ("80", "443")


def component() -> Component:
    """A unit that fills DOCKER-USER whenever the engine has started."""
    content = render("containers/docker-user.service.j2", ports=PUBLIC, bridge=BRIDGE)
    return Component(
        "docker-firewall",
        (File(f"/etc/systemd/system/{UNIT}", content), Unit(UNIT)),
        activation=Activation(UNIT),
        after=("engine", "ufw"),
    )
