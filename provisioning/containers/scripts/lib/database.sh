# shellcheck shell=bash disable=SC2034  # what it sets, the scripts use
# The database's two nodes, its backups, and the platform that waits for it. Sourced, never run.

# shellcheck source=colours.sh
. "${BASH_SOURCE[0]%/*}/colours.sh"

BACKUPS=/backups
DUMPS=$BACKUPS/postgres
APPS=(app1 app2)
NODES=(patroni1 patroni2)
FIRST=${NODES[0]} # the node that a restore begins with
NODE_HOME=/var/lib/postgresql/patroni

one_at_a_time() { # one backup or restore at a time
  exec 8>"$BASE/state/database-lock"
  flock --nonblock 8 || fail "another backup or restore is under way"
}

leader() { # the node that is the primary, as Patroni says
  local node address found
  for node in "${NODES[@]}"; do
    address=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$node" 2>/dev/null) || continue
    # Given nothing, jq 1.6 succeeds.
    found=$(curl --silent --fail --max-time 3 "http://$address:8008/cluster" 2>/dev/null |
      jq --raw-output '.members[] | select(.role == "leader") | .name') || continue
    [ -z "$found" ] || { echo "$found"; return 0; }
  done
  return 1
}

backrest() { # backrest NODE COMMAND...: pgBackRest in a node's container
  docker exec "$1" pgbackrest --stanza="$STANZA" --log-level-console=warn "${@:2}"
}

admin() { # admin DATABASE PSQL-OPTION...: as the administrator, at the primary
  local PGPASSWORD
  PGPASSWORD=$(sed -n 's/^POSTGRES_ADMIN_PASSWORD=//p' "$SECRETS")
  export PGPASSWORD
  docker exec --interactive --env PGPASSWORD connect_postgres \
    psql -XAtq -v ON_ERROR_STOP=1 -U postgres -d "$1" "${@:2}"
}

query() { # query SQL: one value, as the application
  docker exec connect_postgres psql -XAtq -v ON_ERROR_STOP=1 -U connect -d connect -c "$1"
}

writable() {
  answers f query "SELECT pg_is_in_recovery()"
}

copy_uploads() { # copy_uploads FROM TO: what is in it; the directory's own owner and mode stay
  find "$1" -mindepth 1 -maxdepth 1 -exec cp --archive --update --target-directory="$2" {} +
}

stop_apps() {
  compose stop "${APPS[@]}" >/dev/null 2>&1 || fail "the applications can't be stopped"
}

start_apps() { # until the front door serves what it served before
  local version
  compose up -d --no-deps "${APPS[@]}" >/dev/null 2>&1 || fail "the applications can't be started"
  version=$(last_served) || version=$(version_of_colour app1)
  patiently 60 at_the_front_door "$version" || fail "the front door does not serve version $version"
}

streaming() { # the replica follows the primary
  answers streaming admin postgres -c "SELECT state FROM pg_stat_replication"
}
