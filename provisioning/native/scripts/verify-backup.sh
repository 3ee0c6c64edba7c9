#!/bin/bash
# Can the backups be restored? Restores both beside the running host and looks at what came out.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: verify-backup.sh [--help]
Checks every file in pgBackRest's repository against its checksum, restores the newest database
backup with all archived WAL into a directory of its own, starts a server on it that nobody else can
reach, reads every table, and unpacks the newest system backup and compares every file. Needs room
for a copy of the database. The platform is not touched. Run it as user connect (with sudo) or root.
Exit code: 0 both can be restored, 1 one can't, 2 wrong usage.
Example: /opt/connect/scripts/verify-backup.sh
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/common.sh
. "$HERE/lib/common.sh"
# shellcheck source=lib/backups.sh
. "$HERE/lib/backups.sh"

SCRATCH=/var/lib/postgresql/connect-verify
BIN=/usr/lib/postgresql/15/bin

clean_up() {
  [ ! -e "$SCRATCH/data/postmaster.pid" ] ||
    as_user postgres "$BIN/pg_ctl" --pgdata="$SCRATCH/data" --mode=immediate --silent stop || true
  rm --recursive --force "$SCRATCH"
}

on_scratch() { # on_scratch COMMAND...: a client of the scratch server
  as_user postgres env PGHOST="$SCRATCH" PGPORT="$DATABASE_PORT" "$@"
}

restore() {
  install --directory --owner=postgres --group=postgres --mode=700 "$SCRATCH" "$SCRATCH/data"
  backrest restore --pg1-path="$SCRATCH/data" --archive-mode=off --log-level-file=info ||
    fail "the database backup can't be restored"
  # Reachable by its own socket only, with little memory, and it archives nothing.
  cat >"$SCRATCH/postgresql.conf" <<CONF
data_directory = '$SCRATCH/data'
hba_file = '$SCRATCH/pg_hba.conf'
unix_socket_directories = '$SCRATCH'
listen_addresses = ''
port = $DATABASE_PORT
shared_buffers = 64MB
archive_mode = off
max_connections = $(query 'SHOW max_connections')
CONF
  echo "local all postgres peer" >"$SCRATCH/pg_hba.conf"
  chown postgres:postgres "$SCRATCH"/*.conf
}

replay() {
  as_user postgres env PGBACKREST_STANZA="$STANZA" "$BIN/pg_ctl" --pgdata="$SCRATCH/data" --silent \
    --options="--config-file=$SCRATCH/postgresql.conf" --log="$SCRATCH/log" --timeout=3600 start ||
    { tail --lines=5 "$SCRATCH/log"; fail "the restored database does not start"; }
  patiently 3600 answers f on_scratch psql -XAtq -d connect -c "SELECT pg_is_in_recovery()"
}

reaches_the_end() { # a gap in the archive ends the replay early, and nothing says so
  local last reached
  last=$(backrest info --output=json | jq --raw-output '.[0].archive[-1].max')
  reached=$(on_scratch psql -XAtq -d connect -c "SELECT pg_walfile_name(pg_current_wal_lsn())")
  # Without the timeline, of which a restored server begins a new one.
  [[ ! "${reached:8}" < "${last:8:16}" ]] || fail "the replay ends at $reached, before $last: WAL is missing"
}

read_everything() {
  on_scratch pg_dump --dbname=connect >/dev/null ||
    fail "the restored database can't be read"
  on_scratch psql -XAtq -d connect -c "SELECT count(*) || ' programs' FROM funding_programs"
}

no_arguments "$@"
as_root "$@"
one_at_a_time
clean_up # what a killed verification left
trap clean_up EXIT

say "repository: every file against its checksum"
checked=$(backrest verify --output=text --verbose) || fail "pgBackRest can't check its repository"
grep --quiet '^status: ok' <<<"$checked" || { say "$checked"; fail "the repository is damaged"; } # it exits 0
say "restore: the newest backup into $SCRATCH"
restore
say "replay: the archived WAL"
replay
reaches_the_end
say "read: every table"
counted=$(read_everything)
say "$counted"
newest=$(newest_system_backup)
[ -n "$newest" ] || fail "there is no system backup; make one: backup-system.sh"
say "unpack: the newest system backup"
install --directory --mode=700 "$SCRATCH/system"
unpack_and_compare "$newest" "$SCRATCH/system" || fail "$newest can't be restored"
say "done: both backups can be restored"
