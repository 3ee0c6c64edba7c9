"""What is done to a running target: releases, backups, restores, health and diagnoses.

The work is done by the scripts on the host (provisioning/*/scripts), which a person can run
there by hand as well; this package sends them what they need and shows what they say.
"""

from connect_infra.operations.backups import (
    back_up_database,
    back_up_system,
    copy_back,
    copy_off,
    restore_database,
    restore_system,
    verify_backups,
)
from connect_infra.operations.condition import Check, Section, diagnose, health
from connect_infra.operations.releases import confirm, deploy, full_rollback, rollback

__all__ = [
    "Check",
    "Section",
    "back_up_database",
    "back_up_system",
    "confirm",
    "copy_back",
    "copy_off",
    "deploy",
    "diagnose",
    "full_rollback",
    "health",
    "restore_database",
    "restore_system",
    "rollback",
    "verify_backups",
]
