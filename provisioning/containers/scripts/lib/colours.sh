# shellcheck shell=bash disable=SC2034  # what it sets, the scripts use
# The two colours: which one serves, what each runs, and how traffic moves. Sourced, never run.

# shellcheck source=../../../native/scripts/lib/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

SOCKET=/var/run/haproxy/admin.sock
SERVERS=$BASE/state/haproxy/servers
IMAGES=$BASE/images
HISTORY=$BASE/state/history # the versions that were served, a line each, the newest last
COMPOSE_FILE=$BASE/docker-compose.production.yml
SECRETS=$BASE/.env.production.local
BACKUP=/backups/postgres/latest.sql
ATTEMPTS=30 # x 2 s until a colour must be healthy: document S, Deployment process, 4
declare -A PORT=([app1]=3000 [app2]=3001) COLOUR=([app1]=blue [app2]=green)
declare -A OTHER=([app1]=app2 [app2]=app1)

lock() { # one change of the colours at a time
  exec 9>"$BASE/state/lock"
  flock --nonblock 9 || fail "another deployment or rollback is under way"
}

compose() { # Compose v2 where there is one, else v1
  cd "$BASE" || return
  if docker compose version >/dev/null 2>&1; then docker compose --file "$COMPOSE_FILE" "$@"
  else docker-compose --file "$COMPOSE_FILE" "$@"; fi
}

haproxy() { # haproxy COMMAND: asked at the runtime socket
  printf '%s\n' "$1" | socat -t 5 - "$SOCKET"
}

serving() { # the server that HAProxy sends new requests to: the primary while it is up, else the backup
  local state
  state=$(haproxy "show stat" | awk -F, '$1 == "connect" && $2 == "app1" { print $18 }')
  case "$state" in
    "") fail "HAProxy does not say which colour serves" ;;
    UP*) echo app1 ;;
    *) echo app2 ;; # drained by an operator, or down
  esac
}

settle() { # after a deployment that was killed: tags, states and traffic are what they really are
  local app active
  rm --recursive --force "$BASE"/build/.release-* "$IMAGES"/*.new
  for app in app1 app2; do
    docker inspect "connect_$app" >/dev/null 2>&1 || replace_lost "$app"
    docker tag "$(docker inspect --format '{{.Image}}' "connect_$app")" "connect:${COLOUR[$app]}"
  done
  active=$(serving)
  send_to "$active"
  [ -s "$HISTORY" ] || version_of_colour "$active" >"$HISTORY"
}

replace_lost() { # replace_lost APP: Compose was killed between renaming the old container and making the new
  docker ps --all --quiet --filter "label=com.docker.compose.service=$1" |
    xargs --no-run-if-empty docker rm --force >/dev/null
  start "$1" || fail "there is no container connect_$1"
}

last_served() {
  tail --lines=1 "$HISTORY" 2>/dev/null
}

version_of_colour() { # version_of_colour APP: the release that its container runs
  docker inspect --format '{{index .Config.Labels "connect.version"}}' "connect_$1" 2>/dev/null
}

up_in_haproxy() { # up_in_haproxy APP: HAProxy's own checks find it healthy
  haproxy "show stat" | awk -F, -v app="$1" '
    $1 == "connect" && $2 == app { state = $18 }
    END { if (state ~ /^(UP|DRAIN)/) exit 0; print app " is " state " for HAProxy"; exit 1 }'
}

start() { # start APP: its container anew, of the image that its colour is now
  compose up -d --no-deps "$1" >/dev/null 2>&1 || { say "$1 can't be started; see: docker logs connect_$1"; return 1; }
}

exchange() { # exchange APP VERSION: it runs that and is healthy; or what it ran before, and 1
  local before
  before=$(docker inspect --format '{{.Image}}' "connect_$1")
  docker tag "connect:$2" "connect:${COLOUR[$1]}"
  if start "$1" && healthy "$1" "$2"; then return 0; fi
  docker tag "$before" "connect:${COLOUR[$1]}"
  start "$1"
  return 1
}

healthy() { # healthy APP VERSION: within the documented time, at its own port
  local attempt said=""
  for ((attempt = 1; attempt <= ATTEMPTS; attempt++)); do
    said=$(ask "$2" "http://localhost:${PORT[$1]}") && return 0
    sleep 2
  done
  say "$said"
  return 1
}

remember() { # the colours' states, for the next start or reload of HAProxy
  haproxy "show servers state" >"$SERVERS.new"
  sync "$SERVERS.new"
  mv "$SERVERS.new" "$SERVERS"
}

send_to() { # send_to APP: all new requests; those under way are answered by whoever has them
  local state=drain
  [ "$1" = app2 ] || state=ready
  [ -z "$(haproxy "set server connect/app1 state $state" | tr -d '\n')" ] || fail "HAProxy refuses to switch"
  remember
}

switch() { # switch APP VERSION: traffic moves, or stays where it was
  local before
  before=$(serving)
  patiently 15 up_in_haproxy "$1" || fail "HAProxy does not find $1 healthy; nothing was switched"
  send_to "$1"
  if ! patiently 5 at_the_front_door "$2"; then
    send_to "$before"
    fail "the front door does not serve version $2; $before serves again"
  fi
  [ "$(last_served)" = "$2" ] || printf '%s\n' "$2" >>"$HISTORY"
}

at_the_front_door() { # at_the_front_door VERSION
  ask "$1" "https://$DOMAIN" --cacert "$CERTIFICATE" --resolve "$DOMAIN:443:127.0.0.1"
}
