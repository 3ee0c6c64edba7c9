"""sshd: one file, checked before it is in force, and proven by a fresh login afterwards."""

from collections.abc import Iterable

from provisioning.component import Activation, Component, Context, WayIn
from provisioning.render import render
from provisioning.resources import File, Package, Unit

PATH = "/etc/ssh/sshd_config"
UNIT = "ssh.service"

CHECK = """
mkdir -p /run/sshd
sshd -t -f "$STAGE/etc/ssh/sshd_config"
"""

ANSWERS = """
for tenth in $(seq 50); do
  timeout 5 python3 -c 'import socket; socket.create_connection(("127.0.0.1", 22), 2).recv(4)' \\
    2>/dev/null && exit 0
  sleep 0.1
done
echo 'sshd does not answer on port 22'; exit 1
"""


def component(ctx: Context) -> Component:
    """The documented settings, and what they need to mean what they say."""
    documented = [
        (expectation.key, expectation.expected)
        for expectation in ctx.expectations.values()
        if expectation.control.component == "sshd"
    ]
    return with_options("architecture v2.0, 6.1", documented, after=("host",))


def with_options(
    source: str, documented: Iterable[tuple[str, str]], after: tuple[str, ...]
) -> Component:
    """These options and no others; `source` says where they are documented."""
    content = render("native/sshd_config.j2", path=PATH, source=source, documented=documented)
    return Component(
        "sshd",
        (Package("openssh-server"), File(PATH, content), Unit(UNIT)),
        validate=CHECK,
        verify=ANSWERS,
        activation=Activation(UNIT, reload_ok=True),
        after=after,
        way_in=WayIn(back=f"systemctl reload {UNIT} || systemctl restart {UNIT}"),
    )
