#!/bin/bash
# May a release be deployed to this host now?
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: pre-deployment-check.sh [--help]
Checks memory, disks (80 % at most), that every service truly serves, and the last backup's age and
state. Changes nothing. Run it as user connect (with sudo) or as root.
Exit code: 0 ready, 1 not, 2 wrong usage.
Example: /opt/connect/scripts/pre-deployment-check.sh
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/common.sh
. "$HERE/lib/common.sh"

no_arguments "$@"
as_root "$@"
checks=memory,disk,services,database,pool,redis-cache,redis-queue,backup
# A new host serves nothing yet.
if deployed "$(current_release)"; then checks+=,application,api; fi
exec python3 "$HERE/lib/health.py" --only "$checks"
