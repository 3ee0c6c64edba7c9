"""ufw as document S wants it: SSH, HTTP and HTTPS come in, nothing else."""

from provisioning.component import Component, Context
from provisioning.native import ufw

CONTROL = "bluegreen.security.ufw"

POLICIES = {"incoming": "DROP", "outgoing": "ACCEPT"}
"""ufw's own policies once it is enabled; the document leaves them as they are."""


def ports(ctx: Context) -> tuple[str, ...]:
    """The documented ports of `allow 22, 80, 443; enabled`."""
    allowed = ctx.expected(CONTROL).partition(";")[0].removeprefix("allow ")
    return tuple(port.strip() for port in allowed.split(","))


def component(ctx: Context) -> Component:
    """The rules as files, loaded in one go, proven by a fresh login."""
    return ufw.with_rules(POLICIES, [("allow", port, "tcp") for port in ports(ctx)])
