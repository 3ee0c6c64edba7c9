"""What is done to a running target: releases, backups, restores, health and diagnoses.

The work is done by the scripts on the host (provisioning/native/scripts), which a person can run
there by hand as well; this package sends them what they need and shows what they say.
"""

from connect_infra.operations.releases import deploy, rollback

__all__ = ["deploy", "rollback"]
