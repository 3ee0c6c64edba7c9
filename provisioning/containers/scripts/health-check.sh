#!/bin/bash
# Is this Docker host healthy? A line for each check, or JSON.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: health-check.sh [--json | --help]
Checks load, memory, disks, every container, Prometheus' targets, alerts, the primary and its synchronous
replica, Redis, both colours, unfinished deployments, the front door over HTTPS, the certificate,
recent errors, and the last backups of database, Redis and uploads. Changes nothing.
Exit code: 0 healthy, 1 something is not, 2 wrong usage.
Example: /opt/connect/scripts/health-check.sh --json
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=../../native/scripts/lib/common.sh
. "$HERE/lib/common.sh"

case "${1:-}" in
  "" | --json) ;;
  --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac
as_root "$@"
exec python3 "$HERE/lib/health.py" "$@"
