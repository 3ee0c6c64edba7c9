"""What the host does by itself to stay recoverable: schedules and first backups."""

from provisioning.component import Component
from provisioning.native.layout import ROOT
from provisioning.native.pgbackrest import INFO
from provisioning.render import render
from provisioning.resources import Ensure, File

SCRIPTS = f"{ROOT}/scripts"

JOBS = (
    ("0 3 * * *", "backup-system.sh"),
    ("0 4 * * 0", "verify-backup.sh"),
    ("0 5 * * 0", "maintenance.sh"),
)
"""Document A gives the scripts and no schedule: daily after the database's backup, the others on
Sundays."""


def component() -> Component:
    """A new host has backups from its first hour on, not from the schedule's next turn."""
    return Component(
        "operations",
        (
            File("/etc/cron.d/connect", render("native/cron-connect.j2", jobs=JOBS, home=SCRIPTS)),
            Ensure(
                "a first backup of the database",
                f"{INFO} | jq -e '.[0].backup | length > 0' >/dev/null",
                f"{SCRIPTS}/backup-database.sh full",
            ),
            Ensure(
                "a first backup of the system",
                f"ls {ROOT}/backup/system/connect_system_*.tar.gz >/dev/null",
                f"{SCRIPTS}/backup-system.sh",
            ),
        ),
        after=("scripts", "host", "cron.pgbackrest", "release", "connect.service", "prometheus"),
    )
