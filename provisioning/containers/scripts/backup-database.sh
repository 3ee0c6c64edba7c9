#!/bin/bash
# A backup of the database now: pgBackRest's own, and a dump as document S restores it.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: backup-database.sh [full | diff | --help]
Makes a pgBackRest backup (diff unless told otherwise; the first one is full), to which WAL is added
all the time, and a dump, /backups/postgres/connect_DATE_TIME.sql; latest.sql leads to the newest.
Seven dumps are kept.
Exit code: 0 done, 1 no backup was made, 2 wrong usage.
Example: /opt/connect/scripts/backup-database.sh full
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/database.sh
. "$HERE/lib/database.sh"

KEPT=7

dump() {
  local file
  file=$DUMPS/connect_$(date +%Y%m%d_%H%M%S).sql
  docker exec connect_postgres pg_dump -U connect -d connect >"$file.new" || fail "pg_dump made no dump"
  sync "$file.new"
  mv "$file.new" "$file"
  ln --symbolic --force --no-dereference "$(basename "$file")" "$DUMPS/latest.sql"
  find "$DUMPS" -name 'connect_*.sql' | sort --reverse | tail --lines=+$((KEPT + 1)) | xargs --no-run-if-empty rm
  say "dump: $file, $(($(stat --format=%s "$file") / 1048576)) MiB"
}

case "${1:-diff}" in
  full | diff) ;;
  --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac
as_root "$@"
one_at_a_time

node=$(leader) || fail "no node is the primary"
say "back up: the database on $node, ${1:-diff}"
backrest "$node" backup --type="${1:-diff}" || fail "pgBackRest made no backup"
dump
say "done: $(backrest "$node" info --output=json | jq --raw-output '.[0].backup[-1].label')"
