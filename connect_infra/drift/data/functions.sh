# shellcheck shell=sh disable=SC2034,SC2154
# What the scripts of the drifts share; KEPT is where a host keeps its files as they were.

keep() { # keep FILE: as it is now, unless it is kept already
  mkdir -p "$KEPT$(dirname "$1")"
  [ -e "$KEPT$1" ] || [ -L "$KEPT$1" ] || cp -a "$1" "$KEPT$1"
}

back() { # back FILE: as it was kept
  rm -rf "$1"
  cp -a "$KEPT$1" "$1"
}

original() { # original FILE: the kept one where there is one, else the one in place
  if [ -e "$KEPT$1" ]; then echo "$KEPT$1"; else echo "$1"; fi
}

patiently() { # patiently COMMAND...: until it succeeds, for 30 seconds
  for tenth in $(seq 300); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  echo "never succeeded: $*" >&2
  return 1
}

has_line() { # has_line FILE LINE: exactly that line
  grep -qxF -- "$2" "$1"
}

replace_line() { # replace_line FILE START LINE: the lines that start so become that one, or nothing
  keep "$1"
  START="$2" LINE="$3" awk '
    index($0, ENVIRON["START"]) == 1 { if (ENVIRON["LINE"] != "") print ENVIRON["LINE"]; next }
    { print }' "$1" >"$1.drift"
  ! cmp -s "$1" "$1.drift"
  cat "$1.drift" >"$1"
  rm "$1.drift"
}

# --- systemd: drop-ins that are gone after a reboot ---

unit_drop_in() { # unit_drop_in UNIT LINE...
  unit=$1
  shift
  mkdir -p "/run/systemd/system/$unit.d"
  printf '%s\n' "$@" >"/run/systemd/system/$unit.d/zz-drift.conf"
  systemctl daemon-reload
}

no_unit_drop_in() { # no_unit_drop_in UNIT
  rm -f "/run/systemd/system/$1.d/zz-drift.conf"
  systemctl daemon-reload
}

# --- Redis, for COMPONENT redis-cache or redis-queue ---

redis_file() { echo "/etc/redis/$COMPONENT.conf"; }

redis_ask() { # redis_ask COMMAND...: as who knows the password of the file
  port=$(sed -n 's/^port //p' "$(original "$(redis_file)")")
  REDISCLI_AUTH=$(sed -n 's/^requirepass *"*\([^"]*\)"*$/\1/p' "$(original "$(redis_file)")") \
    redis-cli --no-auth-warning -p "$port" "$@"
}

redis_answers() { [ "$(redis_ask PING)" = PONG ]; }

redis_other_flags() { # redis_other_flags FLAGS...: to be started with more than its file
  unit_drop_in "$COMPONENT.service" "[Service]" "ExecStart=" \
    "ExecStart=/usr/bin/redis-server $(redis_file) $*"
}

redis_own_flags() { no_unit_drop_in "$COMPONENT.service"; }

# --- PostgreSQL ---

POSTGRESQL=/etc/postgresql/15/main
SETTINGS=$POSTGRESQL/conf.d/90-connect.conf

sql() { # sql STATEMENT: as the administrator, in the database postgres
  (cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d postgres -c "$1")
}

postgresql_reload() {
  sql "SELECT pg_reload_conf()" >/dev/null
  sleep 0.3
}

postgresql_restart() {
  systemctl restart postgresql@15-main
  patiently sql "SELECT 1"
}

# --- PgBouncer ---

POOLER=/etc/pgbouncer/pgbouncer.ini

console() { # console COMMAND: over its socket, as the user that it runs as
  (cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 \
    -h /var/run/postgresql -p 6432 -U pgbouncer -d pgbouncer -c "$1")
}

pooler_restart() {
  systemctl restart pgbouncer
  patiently console "SHOW VERSION"
}
