#!/bin/bash
# The database's containers anew, where the compose file says so: the replica first, then, when it has
# taken over, the one that was the primary. Writes wait for one switchover, and nothing is lost.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: renew-nodes.sh [--check | --help]
Makes the containers of the database's nodes anew that are other than the compose file says, one after
the other; a node that is not there is left to Compose. --check only says which ones that are.
Exit code: 0 all are as the file says, 1 one is not or does not come back, 2 wrong usage.
Example: /opt/connect/scripts/renew-nodes.sh
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/database.sh
. "$HERE/lib/database.sh"

PATIENCE=120 # seconds until a node follows or leads

stale() { # stale NODE: its container is there, and another than the compose file says
  local label='{{index .Config.Labels "com.docker.compose.config-hash"}}' is
  is=$(docker inspect --format "$label" "$1" 2>/dev/null) || return 1
  ! grep --quiet --line-regexp "$1 $is" <<<"$wanted"
}

all_stale() {
  local node
  for node in "${NODES[@]}"; do if stale "$node"; then echo "$node"; fi; done
}

follows() { # follows NODE: the synchronous replica, so that nothing is lost when it takes over
  local primary
  primary=$(leader) || return 1
  [ "$primary" != "$1" ] || return 1
  answers "$1 sync" admin postgres -c \
    "SELECT application_name || ' ' || sync_state FROM pg_stat_replication"
}

renew() { # renew NODE: a replica
  say "renew: $1"
  compose up -d --no-deps "$1" >/dev/null 2>&1 || fail "the container of $1 can't be made"
  patiently "$PATIENCE" follows "$1" || fail "$1 does not follow the primary"
}

case "${1:-}" in
  "" | --check) ;;
  --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac
[ $# -le 1 ] || { usage >&2; exit 2; }
as_root "$@"
wanted=$(compose config --hash='*') || fail "the compose file can't be read"
left=$(all_stale)
if [ "${1:-}" = --check ]; then
  [ -z "$left" ] || fail "other than the compose file says: ${left//$'\n'/ }"
  exit 0
fi
[ -n "$left" ] || { say "done: every node is as the compose file says"; exit 0; }
one_at_a_time
primary=$(leader) || fail "no node is the primary"
for node in $left; do
  [ "$node" = "$primary" ] || renew "$node"
done
if stale "$primary"; then
  other=${NODES[0]}
  [ "$other" != "$primary" ] || other=${NODES[1]}
  patiently "$PATIENCE" follows "$other" || fail "$other does not follow the primary"
  say "switch: $other becomes the primary"
  docker exec "$primary" patronictl -c /etc/patroni/patroni.yml switchover \
    --leader "$primary" --candidate "$other" --force connect >/dev/null || fail "$other does not take over"
  patiently "$PATIENCE" answers "$other" leader || fail "$other does not take over"
  renew "$primary"
fi
say "done: every node is as the compose file says"
