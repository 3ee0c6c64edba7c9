"""Backups at their times, and the first ones: a new host is protected from its first hour on."""

from provisioning.component import Component
from provisioning.containers.layout import BACKUPS, ROOT
from provisioning.containers.stack import STANZA_CHECK
from provisioning.render import render
from provisioning.resources import Ensure, File, Resource, Unit

JOBS = {"database": "*-*-* 02:00", "system": "*-*-* *:00/15"}
"""When each script runs. What is written between two backups of the database is in its WAL, which
is archived within five minutes."""

BACKED_UP = STANZA_CHECK.replace("0 | 2", "0") + f"test -s {BACKUPS}/postgres/latest.sql\n"


def component() -> Component:
    """A timer for each, and the first of each kind."""
    resources: list[Resource] = []
    for name, times in JOBS.items():
        unit = f"connect-backup-{name}"
        script = f"{ROOT}/scripts/backup-{name}.sh"
        for kind in ("service", "timer"):
            content = render(f"containers/backup.{kind}.j2", name=name, script=script, times=times)
            resources.append(File(f"/etc/systemd/system/{unit}.{kind}", content))
        resources.append(Unit(f"{unit}.timer"))
    return Component(
        "backups",
        (
            *resources,
            Ensure("a backup of the database", BACKED_UP, f"{ROOT}/scripts/backup-database.sh"),
            Ensure(
                "a backup of Redis and uploads",
                f"test -s {BACKUPS}/redis/dump.rdb",
                f"{ROOT}/scripts/backup-system.sh",
            ),
        ),
        after=("stack", "scripts"),
    )
