#!/bin/bash
# The database from its backups: everything that is archived, or as it was at a moment.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: restore-database.sh [--to TIME] | --help
Stops the application's access, saves WAL that is not archived yet, restores the newest fitting
backup and replays WAL to its end, or to TIME. The old data directory is changed in place; its
pg_wal is kept. nginx, application and pool come back afterwards. Run it as user connect (with
sudo) or as root.
  --to TIME  the state at this moment, such as '2026-03-01 14:30:00+00'; what came later is gone
Exit code: 0 restored and writable, 1 not, 2 wrong usage. Run it again after a failure.
Example: /opt/connect/scripts/restore-database.sh --to '2026-03-01 14:30:00+00'
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/common.sh
. "$HERE/lib/common.sh"
# shellcheck source=lib/backups.sh
. "$HERE/lib/backups.sh"

CONSUMERS=(nginx connect pgbouncer prometheus-postgres-exporter)

save_wal() { # WAL that only this disk has: what was written since the last segment was archived
  [ -d "$DATA/pg_wal" ] || return 0
  if as_user postgres pg_isready --quiet; then
    # A transaction after every moment that can be asked for: recovery stops at one that is later.
    query "SELECT txid_current(), pg_switch_wal()" >/dev/null || true
  fi
  systemctl stop "$DATABASE_UNIT"
  if [ "$(system_of_data)" != "$(system_of_backups)" ]; then
    say "the data directory is not of the cluster in the backups: its WAL is not used"
    return 0
  fi
  install --directory --owner=postgres --group=postgres --mode=700 "$KEPT" "$KEPT/pg_wal"
  cp --archive --update "$DATA/pg_wal/." "$KEPT/pg_wal/"
  sync --file-system "$KEPT"
}

system_of_data() {
  LC_ALL=C as_user postgres /usr/lib/postgresql/15/bin/pg_controldata "$DATA" |
    sed --quiet 's/^Database system identifier: *//p'
}

system_of_backups() { # not by jq, which rounds a number of this size
  backrest info --output=json | grep --only-matching '"system-id":[0-9]*' | tail --lines=1 | cut --delimiter=: --fields=2
}

give_back_wal() { # the server looks in pg_wal for what the archive does not have
  local archived segment
  [ -d "$KEPT/pg_wal" ] || return 0
  archived=$(backrest info --output=json | jq --raw-output '.[0].archive[-1].max // ""')
  for segment in "$KEPT"/pg_wal/[0-9A-F]*; do
    segment=$(basename "$segment")
    [[ "$segment" =~ ^[0-9A-F]{24}$ && "$segment" > "$archived" ]] || continue
    cp --archive "$KEPT/pg_wal/$segment" "$DATA/pg_wal/"
  done
}

archive_wal() { # what waited for the archive when the server stopped: the next restore needs it too
  local ready
  for ready in "$KEPT"/pg_wal/archive_status/*.ready; do
    [ -e "$ready" ] || continue
    ready=$(basename "$ready" .ready)
    backrest archive-push "$KEPT/pg_wal/$ready" || fail "$ready can't be archived; it is in $KEPT/pg_wal"
  done
}

restore() {
  local options=(--delta --type=default)
  [ -z "$moment" ] || options=(--delta --type=time "--target=$moment" --target-action=promote)
  rm --force "$DATA/postmaster.pid" # stale: the server is stopped
  install --directory --owner=postgres --group=postgres --mode=700 "$DATA"
  backrest restore "${options[@]}" || fail "pgBackRest did not restore; mend that and repeat"
}

last_words() {
  grep --extended-regexp 'FATAL|PANIC' /var/log/postgresql/postgresql-15-main.log | tail --lines=1
}

writable() {
  answers f query "SELECT pg_is_in_recovery()"
}

moment=
case "${1:-}" in
  "") ;;
  --help) usage; exit 0 ;;
  --to)
    if [ $# -ne 2 ] || ! moment=$(date --date="$2" '+%Y-%m-%d %H:%M:%S.%6N%:z'); then
      usage >&2
      exit 2
    fi
    [ "$(date --date="$2" +%s)" -le "$(date +%s)" ] || fail "$moment has not come yet; nothing was stopped"
    ;;
  *) usage >&2; exit 2 ;;
esac
as_root "$@"
one_at_a_time
trap '' PIPE

backrest info --output=json | jq --exit-status '.[0].status.code == 0' >/dev/null ||
  fail "there is no backup to restore; nothing was stopped"
say "stop: ${CONSUMERS[*]}"
systemctl stop "${CONSUMERS[@]}" 2>/dev/null || true
say "save: WAL that is not archived yet"
save_wal
say "restore: the newest fitting backup${moment:+, to $moment}"
restore
give_back_wal
say "start: the database replays WAL"
systemctl start "$DATABASE_UNIT" || fail "the database does not start: $(last_words)"
patiently 3600 writable || fail "the database stays in recovery: $(last_words)"
say "verify: $(query "SELECT count(*) || ' programs' FROM funding_programs")"
say "start: pgbouncer connect nginx"
systemctl start pgbouncer "$UNIT" nginx
systemctl start prometheus-postgres-exporter 2>/dev/null || true
! deployed "$(current_release)" || patiently 90 serves "$(current_release)" || fail "the application does not serve"
archive_wal
if [ -d "$KEPT" ]; then # the last restore's, in case somebody asks; this one is complete
  rm --recursive --force "$KEPT.last"
  mv "$KEPT" "$KEPT.last"
fi
# A new timeline: a new full backup makes the next restore quick, and does not depend on the old one.
say "done: the database is restored and writable; make a full backup: backup-database.sh full"
