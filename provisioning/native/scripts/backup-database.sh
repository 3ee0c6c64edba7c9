#!/bin/bash
# A backup of the database now, beside the schedule's.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: backup-database.sh [full | diff | --help]
Makes a pgBackRest backup now (diff unless told otherwise; the first one is full). It asks for a
checkpoint at once instead of waiting for the next one, which may take half an hour. Run it as user
connect (with sudo) or as root.
Exit code: 0 done, 1 no backup was made, 2 wrong usage.
Example: /opt/connect/scripts/backup-database.sh full
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/common.sh
. "$HERE/lib/common.sh"
# shellcheck source=lib/backups.sh
. "$HERE/lib/backups.sh"

case "${1:-diff}" in
  full | diff) ;;
  --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac
as_root "$@"
one_at_a_time

say "back up: the database, ${1:-diff}"
backrest backup --type="${1:-diff}" --start-fast || fail "pgBackRest made no backup"
last=$(backrest info --output=json | jq --raw-output '.[0].backup[-1] | "\(.label), \(.info.size / 1048576 | floor) MiB"')
say "done: $last"
