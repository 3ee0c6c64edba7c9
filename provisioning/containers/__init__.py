"""What a Docker host must have (deployment strategy v1.0): one module a component, in order."""

from provisioning.component import Component, Context, ordered
from provisioning.containers import (
    backups,
    engine,
    firewall,
    images,
    layout,
    monitoring,
    scripts,
    sshd,
    stack,
    ufw,
)


def components(ctx: Context) -> tuple[Component, ...]:
    """Every component of a Docker host, in the order in which they come up."""
    return ordered(
        (
            engine.component(ctx),
            layout.component(ctx),
            scripts.component(ctx),
            sshd.component(ctx),
            ufw.component(ctx),
            firewall.component(),
            images.component(ctx),
            monitoring.component(ctx),
            stack.component(ctx),
            backups.component(),
            monitoring.seen(),
        )
    )
