#!/bin/bash
# Is this host healthy? Prints a line for each check; exit code 0 when all are well, 1 otherwise.
# shellcheck disable=SC2317  # the functions are called by check
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: health-check.sh [--help]
Checks disk, memory, services, the database and both Redis servers of this host. Run it as root.
Exit code: 0 healthy, 1 something is not, 2 wrong usage.
Example: sudo /opt/connect/scripts/health-check.sh
TEXT
}

ENVIRONMENT=/opt/connect/shared/config/.env.production
DISK_LIMIT=80 # percent, architecture v2.0, 7.1
MEMORY_LIMIT=90 # percent, the documented alert, 5.1
SERVICES=(postgresql@15-main pgbouncer redis-cache redis-queue cron)
failed=0

check() { # check NAME COMMAND...: one line, and remember a failure
  local name=$1 said
  shift
  if said=$("$@" 2>&1); then
    printf 'ok    %-24s %s\n' "$name" "$said"
  else
    printf 'FAIL  %-24s %s\n' "$name" "$said"
    failed=1
  fi
}

disk() {
  local used
  used=$(df --output=pcent / | tail -n 1 | tr -dc '0-9')
  echo "$used % used"
  [ "$used" -le "$DISK_LIMIT" ]
}

memory() {
  local used
  used=$(awk '/^MemTotal/ {t=$2} /^MemAvailable/ {a=$2} END {printf "%d", (t - a) * 100 / t}' /proc/meminfo)
  echo "$used % used"
  [ "$used" -le "$MEMORY_LIMIT" ]
}

service() { systemctl is-active "$1"; }

database() {
  runuser -u postgres -- psql -XAtq -d connect -c \
    "SELECT count(*) || ' connections' FROM pg_stat_activity"
}

redis() { # redis NAME PORT: ask with the password from the environment file, never as an argument
  local password answer
  password=$(sed -n "s|^REDIS_$1_URL=redis://:\(.*\)@.*|\1|p" "$ENVIRONMENT")
  answer=$(REDISCLI_AUTH=$password redis-cli --no-auth-warning -h 127.0.0.1 -p "$2" PING)
  echo "$answer"
  [ "$answer" = PONG ]
}

case "${1:-}" in
  "") ;;
  --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

check "disk" disk
check "memory" memory
for name in "${SERVICES[@]}"; do check "service $name" service "$name"; done
check "database" database
check "redis cache" redis CACHE 6379
check "redis queue" redis QUEUE 6380
exit "$failed"
