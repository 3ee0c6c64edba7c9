# shellcheck shell=bash disable=SC2034  # what it sets, the scripts use
# What the operational scripts share. Sourced by them, never run. settings.sh, beside this file, is
# written by connect-infra: DOMAIN, CERTIFICATE, SOCKET, STANZA and the documented limits.

export PYTHONDONTWRITEBYTECODE=1 # the checks leave nothing beside themselves

BASE=/opt/connect
RELEASES=$BASE/releases
STATE=/var/lib/connect-infra/releases # root's own: the application may write below $BASE
ENVIRONMENT=$BASE/shared/config/.env.production
UNIT=connect.service
DATABASE_UNIT=postgresql@15-main.service # postgresql.service is an umbrella that can't fail
# shellcheck source=/dev/null
. "${BASH_SOURCE[0]%/*}/settings.sh"

say() { # a line of progress; whoever watches may be gone, the work goes on
  printf '%s\n' "$*" 2>/dev/null || true
}

fail() { # fail WHAT: the reason, and the end
  say "error: $*" >&2
  exit 1
}

no_arguments() { # no_arguments "$@": for scripts that take --help only; `usage` is the script's own
  case "${1:-}" in
    "") ;;
    --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
}

as_root() { # as_root "$@": go on as root; user connect may use sudo
  [ "$EUID" -eq 0 ] || exec sudo --non-interactive -- "$(realpath "$0")" "$@"
}

as_user() ( # as_user USER COMMAND...: in a directory that every user may read
  cd /
  exec runuser --user "$1" -- "${@:2}"
)

query() { # query SQL: one value from the server itself
  as_user postgres psql -XAtq -v ON_ERROR_STOP=1 -d connect -c "$1"
}

backrest() { # backrest COMMAND...: pgBackRest with its log in the file only
  as_user postgres pgbackrest --stanza="$STANZA" --log-level-console=warn "$@"
}

secret_of() { # secret_of URL-NAME: the password in a URL of the environment file
  local value
  value=$(sed -n "s|^$1=\"\{0,1\}[a-z]*://[^:]*:\([^@]*\)@.*|\1|p" "$ENVIRONMENT")
  [ -n "$value" ] || fail "no password in $1 of $ENVIRONMENT"
  printf '%s' "$value"
}

redis() { # redis CACHE|QUEUE COMMAND...: the password travels in the environment only
  local port=$REDIS_CACHE_PORT password
  [ "$1" = CACHE ] || port=$REDIS_QUEUE_PORT
  password=$(secret_of "REDIS_$1_URL")
  REDISCLI_AUTH=$password redis-cli --no-auth-warning -h 127.0.0.1 -p "$port" "${@:2}"
}

answers() { # answers EXPECTED COMMAND...: the command's output is exactly this
  local found
  found=$("${@:2}" 2>&1) || true
  [ "$found" = "$1" ] || { echo "expected $1, found ${found:-no answer}"; return 1; }
}

patiently() { # patiently SECONDS COMMAND...: until it succeeds, or gives up with 2; says why
  local said code end=$((SECONDS + $1))
  while true; do
    code=0
    said=$("${@:2}" 2>&1) || code=$?
    [ "$code" -ne 0 ] || return 0
    if [ "$code" -eq 2 ] || [ "$SECONDS" -ge "$end" ]; then
      say "$said"
      return 1
    fi
    sleep 0.3
  done
}

# --- the application -----------------------------------------------------------------------------

ask() { # ask VERSION URL CURL-OPTION...: a fresh answer, 200, healthy, and of this version
  local nonce answer body status
  nonce=$(od --address-radix=n --read-bytes=8 --format=x8 /dev/urandom | tr -d ' ')
  answer=$(curl --silent --show-error --max-time 5 --write-out '\n%{http_code}' "${@:3}" \
    "$2/api/health?nonce=$nonce" 2>&1) || true
  status=${answer##*$'\n'}
  body=${answer%$'\n'*}
  if [ "$status" = 200 ] && jq --exit-status --arg version "$1" --arg nonce "$nonce" \
    '.status == "healthy" and .version == $version and .nonce == $nonce' >/dev/null 2>&1 <<<"$body"
  then return 0; fi
  echo "$2: expected 200, healthy, version $1; found $status ${body:0:300}"
  return 1
}

ask_front_door() { # ask_front_door VERSION: through nginx, with the certificate that is on disk
  ask "$1" "https://$DOMAIN" --cacert "$CERTIFICATE" --resolve "$DOMAIN:443:127.0.0.1"
}

ask_socket() { # ask_socket VERSION SOCKET
  ask "$1" http://localhost --unix-socket "$2"
}

current_release() { # the name of the release that `current` leads to
  basename "$(readlink "$BASE/current")"
}

deployed() { # deployed RELEASE: is it one, or the empty directory of a new host?
  [ -f "$RELEASES/$1/server.js" ]
}

version_of() { # version_of RELEASE
  head --lines=1 "$RELEASES/$1/VERSION"
}

processes() { # the application's processes, as PM2 titles them
  pgrep --uid connect --full "^node $BASE/current/"
}

runs_only() { # runs_only RELEASE: no process of the application is of another one
  local pids pid found
  pids=$(processes) || { echo "no process of the application runs"; return 1; }
  for pid in $pids; do
    found=$(readlink "/proc/$pid/cwd") || continue # it has just ended
    [ "$found" = "$RELEASES/$1" ] || { echo "process $pid runs $found"; return 1; }
  done
}

serves() { # serves RELEASE: every process is of it, and the front door answers with its version
  runs_only "$1" && ask_front_door "$(version_of "$1")"
}
