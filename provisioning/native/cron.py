"""The documented schedule of backups, in cron's own directory."""

from provisioning.component import Component, Context
from provisioning.render import render
from provisioning.resources import File, Package, Unit


def component(ctx: Context) -> Component:
    """The file is read by cron within a minute; the service needs no signal."""
    lines = [ctx.expected("cron.pgbackrest.full"), ctx.expected("cron.pgbackrest.diff")]
    return Component(
        "cron.pgbackrest",
        (
            Package("cron"),
            File("/etc/cron.d/pgbackrest", render("native/cron-pgbackrest.j2", lines=lines)),
            Unit("cron.service"),
        ),
        after=("pgbackrest", "postgresql"),
    )
