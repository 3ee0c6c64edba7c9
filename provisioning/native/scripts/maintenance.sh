#!/bin/bash
# Regular maintenance: safe at any time, and to run twice.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: maintenance.sh [--dry-run | --help]
Rotates the application's logs, vacuums and analyzes the database, removes temporary files older
than a day, shows what Redis evicted, the certificate's days, pending security updates and the last
backups. Goes on after a step that fails. Run it as user connect (with sudo) or as root.
  --dry-run  only say what would be done
Exit code: 0 all well, 1 a step failed or something needs attention, 2 wrong usage.
Example: /opt/connect/scripts/maintenance.sh --dry-run
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/common.sh
. "$HERE/lib/common.sh"
# shellcheck source=lib/backups.sh
. "$HERE/lib/backups.sh"

failed=0

step() { # step change|look WHAT COMMAND...: a line for it, and what it said
  local said
  say "$2"
  [ "$1" = look ] || [ -z "$dry_run" ] || return 0
  said=$("${@:3}" 2>&1) || { failed=1; said="error: ${said:-it failed}"; }
  [ -z "$said" ] || say "$said"
}

rotate_logs() {
  [ -f /etc/logrotate.d/connect ] || { echo "there is no /etc/logrotate.d/connect"; return 1; }
  logrotate --force /etc/logrotate.d/connect
}

vacuum() {
  as_user postgres psql -Xq -v ON_ERROR_STOP=1 -d connect -c "VACUUM (ANALYZE)"
}

temporary_files() { # ours only, and no socket or lock of a running service
  find "$BASE/shared/uploads" -name '*.tmp' -type f -mmin +1440 -print -delete
  find /tmp -maxdepth 1 -name 'connect-*' -type f -mmin +1440 -print -delete
}

redis_memory() { # expired keys go by themselves; what matters is whether the cache had to evict
  local name
  for name in CACHE QUEUE; do
    redis "$name" INFO stats | tr -d '\r' | awk -F: -v name="$name" \
      '/^(expired_keys|evicted_keys):/ { printf "%s %s %s\n", tolower(name), $1, $2; seen++ }
       END { exit seen != 2 }'
  done
}

security_updates() {
  local found
  found=$(apt-get --simulate --quiet=2 upgrade) || return 1
  echo "$(grep --count '^Inst .*[Ss]ecurity' <<<"$found" || true) pending"
}

health() { # health CHECK...
  python3 "$HERE/lib/health.py" --only "$1"
}

system_backup() {
  local newest
  newest=$(newest_system_backup)
  [ -n "$newest" ] || { echo "there is no system backup; make one: backup-system.sh"; return 1; }
  [ -n "$(find "$newest" -mmin "-$((26 * 60))")" ] || { echo "$newest is older than 26 hours"; return 1; }
  basename "$newest"
}

dry_run=
case "${1:-}" in
  "") ;;
  --dry-run) dry_run=1 ;;
  --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac
as_root "$@"
install --directory /var/lib/connect-infra
exec 7>/var/lib/connect-infra/maintenance.lock
flock --nonblock 7 || fail "maintenance is running already"

step change "logs: rotate" rotate_logs
step change "database: vacuum and analyze" vacuum
step change "temporary files older than a day: remove" temporary_files
step look "redis: keys that expired or were evicted" redis_memory
step look "certificate: 30 days at least" health certificate
step look "security updates" security_updates
step look "last database backup" health backup
step look "last system backup" system_backup
[ "$failed" -eq 0 ] || fail "maintenance found something to mend; see above"
say "done: maintenance"
