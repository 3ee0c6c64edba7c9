#!/bin/bash
# The database from its backups: all that is archived, as it was at a moment, or from a dump.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: restore-database.sh [--to TIME | --dump FILE|latest] [--without-wal] | --help
Stops the applications, restores the newest fitting backup on patroni1 and replays WAL to its end, or
to TIME; patroni2 is made anew from it. Or restores a dump beside the database, and exchanges the two.
The database of before is kept until the next restore: on patroni1 as before-restore, from a dump as
connect_before_restore.
  --to TIME      the state at this moment, such as '2026-03-01 14:30:00+00'; what came later is gone
  --dump FILE    a dump of backup-database.sh; latest: the newest
  --without-wal  don't archive what this host has written last: the backups are another host's
Exit code: 0 restored and served, 1 not, 2 wrong usage. Run it again after a failure.
Example: /opt/connect/scripts/restore-database.sh --to '2026-03-01 14:30:00+00'
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/database.sh
. "$HERE/lib/database.sh"

QUIETLY="SET client_min_messages = error"

restore_first() { # on the first node, with the passwords of this host
  local name
  for name in POSTGRES_ADMIN_PASSWORD REPLICATION_PASSWORD POSTGRES_PASSWORD; do
    export "$name=$(sed -n "s/^$name=//p" "$SECRETS")"
  done
  docker run --rm --interactive --volumes-from "$FIRST" --env "STANZA=$STANZA" --env "NODE_HOME=$NODE_HOME" \
    --env POSTGRES_ADMIN_PASSWORD --env REPLICATION_PASSWORD --env POSTGRES_PASSWORD \
    "$(docker inspect --format '{{.Config.Image}}' "$FIRST")" sh -s -- "$@" <"$HERE/lib/restore-inside.sh"
}

archive_rest() { # what was written since the last segment was archived
  local node segment
  node=$(leader) || { say "no node is the primary: what is not archived is in $FIRST's before-restore"; return 0; }
  # A transaction after every moment that can be asked for: recovery stops at one that is later.
  segment=$(admin postgres -c "SELECT txid_current()" -c "SELECT pg_walfile_name(pg_switch_wal())" | tail --lines=1)
  patiently 60 archived "$node" "$segment" || fail "WAL can't be archived; nothing was stopped but the applications"
}

archived() { # archived NODE SEGMENT
  [[ ! $(docker exec "$1" psql -XAtqU postgres -c "SELECT last_archived_wal FROM pg_stat_archiver") < $2 ]]
}

forget_cluster() { # Patroni makes up its mind anew; its settings stay
  docker exec etcd etcdctl get --prefix /service/connect/ --keys-only |
    { grep --invert-match --line-regexp -e /service/connect/config -e '' || true; } |
    while read -r key; do docker exec etcd etcdctl del "$key" >/dev/null; done
}

wipe() { # wipe NODE: it is made anew from the primary
  docker run --rm --user 0 --volumes-from "$1" "$(docker inspect --format '{{.Config.Image}}' "$1")" \
    sh -c "rm -rf $NODE_HOME/*"
}

from_backup() {
  local options=(--type=default)
  [ -z "$moment" ] || options=(--type=time "--target=$moment" --target-action=promote)
  say "stop: the applications"
  stop_apps
  if [ -z "$without_wal" ]; then archive_rest; fi
  say "stop: ${NODES[*]}"
  compose stop "${NODES[@]}" >/dev/null 2>&1 || fail "the nodes can't be stopped"
  say "restore: the newest fitting backup${moment:+, to $moment}"
  if ! restore_first "${options[@]}"; then
    compose start "${NODES[@]}" >/dev/null 2>&1
    patiently 120 writable || fail "nothing was restored, and the database is not writable"
    start_apps
    fail "nothing was restored; the database is as it was, and served"
  fi
  forget_cluster
  say "start: $FIRST, then the others from it"
  compose start "$FIRST" >/dev/null 2>&1
  patiently 120 writable || fail "the database is not writable; see: docker logs $FIRST"
  wipe "${NODES[1]}"
  compose start "${NODES[1]}" >/dev/null 2>&1
}

from_dump() {
  say "restore: $dump, beside the database"
  admin postgres -c "$QUIETLY" -c "DROP DATABASE IF EXISTS connect_restored" -c "CREATE DATABASE connect_restored OWNER connect"
  docker exec --interactive connect_postgres psql -Xq -v ON_ERROR_STOP=1 --single-transaction \
    -U connect -d connect_restored <"$dump" >/dev/null || fail "$dump can't be restored; nothing was stopped"
  docker exec connect_postgres psql -Xq -U connect -d connect_restored -c "$QUIETLY" -c ANALYZE
  say "stop: the applications"
  stop_apps
  admin postgres -c "$QUIETLY" -c "DROP DATABASE IF EXISTS connect_before_restore"
  admin postgres <<'SQL'
ALTER DATABASE connect ALLOW_CONNECTIONS false;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('connect', 'connect_restored') \g /dev/null
BEGIN;
ALTER DATABASE connect RENAME TO connect_before_restore;
ALTER DATABASE connect_restored RENAME TO connect;
COMMIT;
SQL
}

moment='' dump='' without_wal='' given=("$@")
while [ $# -gt 0 ]; do
  case "$1" in
    --help) usage; exit 0 ;;
    --without-wal) without_wal=yes ;;
    --dump) dump=${2:-}; [ -n "$dump" ] || { usage >&2; exit 2; }; shift ;;
    --to)
      if [ -z "${2:-}" ] || ! moment=$(date --date="$2" '+%Y-%m-%d %H:%M:%S.%6N%:z'); then
        usage >&2
        exit 2
      fi
      shift
      ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
[ -z "$moment" ] || [ -z "$dump" ] || { usage >&2; exit 2; }
[ -z "$moment" ] || [ "$(date --date="$moment" +%s)" -le "$(date +%s)" ] ||
  fail "$moment has not come yet; nothing was stopped"
as_root "${given[@]}"
lock
one_at_a_time
trap '' PIPE

started=$SECONDS
if [ -n "$dump" ]; then
  [ "$dump" != latest ] || dump=$DUMPS/latest.sql
  [ -s "$dump" ] || fail "there is no dump $dump; nothing was stopped"
  from_dump
else
  from_backup
fi
say "start: the applications"
start_apps
say "verify: $(query "SELECT count(*) || ' programs' FROM funding_programs")"
say "served: $((SECONDS - started)) s after the start"
patiently 300 streaming || fail "no replica follows the primary; it is served all the same"
say "done: the database is restored and served; make a full backup: backup-database.sh full"
