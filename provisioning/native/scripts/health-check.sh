#!/bin/bash
# Is this host healthy? A line for each check, or JSON.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: health-check.sh [--json | --help]
Checks load, memory, disks, services, database and pool, both Redis servers, the application's
processes, unfinished deployments, the API over HTTPS, the certificate, logs, recent errors and the
last backup. Changes nothing. Run it as user connect (with sudo) or as root.
Exit code: 0 healthy, 1 something is not, 2 wrong usage.
Example: /opt/connect/scripts/health-check.sh --json
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/common.sh
. "$HERE/lib/common.sh"

case "${1:-}" in
  "" | --json) ;;
  --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac
as_root "$@"
exec python3 "$HERE/lib/health.py" "$@"
