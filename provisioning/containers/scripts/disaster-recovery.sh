#!/bin/bash
# Everything from the backups in /backups, on a host that has been provisioned.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: disaster-recovery.sh [--help]
For a host that was provisioned anew and has got the lost host's /backups: restores the database to
the end of what is archived, Redis' data and the uploads, starts everything and asks the front door.
Exit code: 0 everything is restored and served, 1 not, 2 wrong usage. Run it again after a failure.
Example: /opt/connect/scripts/disaster-recovery.sh
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=../../native/scripts/lib/common.sh
. "$HERE/lib/common.sh"

no_arguments "$@"
as_root "$@"
started=$SECONDS
"$HERE/restore-database.sh" --without-wal
"$HERE/restore-system.sh"
"$HERE/backup-database.sh" full
say "done: everything is restored and served, $((SECONDS - started)) s after the start"
