#!/bin/bash
# Regular maintenance: safe at any time, and to run twice.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: maintenance.sh [--dry-run | --help]
Vacuums the database, removes temporary files older than a day, and shows the last backup.
Run it as root. Exit code: 0 done, 1 a step failed, 2 wrong usage.
Example: sudo /opt/connect/scripts/maintenance.sh --dry-run
TEXT
}

dry_run=
case "${1:-}" in
  "") ;;
  --dry-run) dry_run=1 ;;
  --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

step() { # step WHAT COMMAND...
  echo "$1"
  shift
  [ -n "$dry_run" ] || "$@"
}

vacuum() { runuser -u postgres -- psql -Xq -d connect -c "VACUUM (ANALYZE)"; }

temporary_files() {
  find /opt/connect/shared/uploads -name '*.tmp' -type f -mtime +0 -delete
  find /tmp -maxdepth 1 -name 'connect-*' -user connect -type f -mtime +0 -delete
}

last_backup() {
  runuser -u postgres -- pgbackrest info --stanza=connect --output=json |
    jq -r '(.[0].backup // []) | last | if . == null then "none yet" else .label end'
}

step "database: vacuum and analyze" vacuum
step "temporary files older than a day: remove" temporary_files
step "last database backup:" last_backup
