"""sshd: keys only, as document S wants it; everything else is as on a native host."""

from provisioning.component import Component, Context
from provisioning.native import sshd

DOCUMENTED = (("PubkeyAuthentication", "yes"), ("PasswordAuthentication", "no"))


def component(ctx: Context) -> Component:
    """The settings, checked before they are in force and proven by a fresh login."""
    return sshd.with_options("deployment strategy v1.0, Security 1", DOCUMENTED, after=("engine",))
