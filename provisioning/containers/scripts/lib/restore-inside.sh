# shellcheck shell=sh
# Runs in a container of a node's image, with the volumes of the stopped node: restores its data
# (with the given options of pgBackRest), replays WAL, and gives the roles this host's passwords.
set -eu

bin=/usr/lib/postgresql/15/bin
data=$NODE_HOME/data
before=$NODE_HOME/before-restore
mark=$NODE_HOME/restoring
log=/tmp/restore.log

put_back() { # whatever fails: the data is as it was
  "$bin/pg_ctl" -D "$data" -s -m immediate stop 2>/dev/null || true
  [ ! -d "$before" ] || { rm -rf "$data"; mv "$before" "$data"; }
  rm -f "$mark"
}

recovered() {
  [ "$(psql -XAtq -d postgres -c 'SELECT pg_is_in_recovery()' 2>/dev/null)" = f ]
}

# With the mark, and the data of before beside it, what stands in its place is half a restore.
if [ -e "$mark" ] && [ -d "$before" ]; then
  rm -rf "$data"
elif [ -d "$data" ]; then
  rm -rf "$before"
  touch "$mark"
  mv "$data" "$before"
fi
trap put_back EXIT
install -d -m 700 "$data"
pgbackrest --stanza="$STANZA" --log-level-console=warn restore "$@"
"$bin/pg_ctl" -D "$data" -s -w -t 3600 -l "$log" \
  -o "-c listen_addresses= -c synchronous_standby_names=" start || { tail -n 5 "$log"; exit 1; }
until recovered; do
  "$bin/pg_ctl" -D "$data" status >/dev/null || { grep FATAL "$log"; exit 1; }
  sleep 0.5
done
psql -Xq -v ON_ERROR_STOP=1 -d postgres <<'SQL'
\getenv admin POSTGRES_ADMIN_PASSWORD
\getenv replicator REPLICATION_PASSWORD
\getenv connect POSTGRES_PASSWORD
ALTER ROLE postgres PASSWORD :'admin';
ALTER ROLE replicator PASSWORD :'replicator';
ALTER ROLE connect PASSWORD :'connect';
SQL
"$bin/pg_ctl" -D "$data" -s -w -m fast stop
trap - EXIT
rm -f "$mark"
