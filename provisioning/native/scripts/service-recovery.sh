#!/bin/bash
# Restart a part of the platform and prove that it serves.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: service-recovery.sh postgresql | redis | nginx | connect | --help
Restarts the part and asks it until it answers: the database for a query (directly and through the
pool), both Redis servers for PONG, nginx and the application for a healthy answer over HTTPS. nginx
is not restarted with a configuration that it would refuse. Run it as user connect (with sudo) or as
root.
Exit code: 0 it serves, 1 it does not, 2 wrong usage.
Example: /opt/connect/scripts/service-recovery.sh postgresql
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/common.sh
. "$HERE/lib/common.sh"

LIMIT=60 # seconds

restart() { # restart UNIT...: also one that gave up after too many failures
  systemctl reset-failed "$@" 2>/dev/null || true
  systemctl restart "$@" || fail "systemd can't restart $*; look at: journalctl -u $1"
}

check() { # check NAME...: by the health check of that name
  patiently "$LIMIT" python3 "$HERE/lib/health.py" --only "$1" || fail "$1 does not serve"
}

served() { # the application behind nginx, where one is deployed
  ! deployed "$(current_release)" || check application,api
}

[ $# -eq 1 ] || { usage >&2; exit 2; }
case "$1" in
  --help) usage; exit 0 ;;
  postgresql | redis | nginx | connect) ;;
  *) usage >&2; exit 2 ;;
esac
as_root "$@"

case "$1" in
  postgresql)
    restart "$DATABASE_UNIT"
    systemctl is-active --quiet pgbouncer || restart pgbouncer
    check database,pool
    ;;
  redis)
    restart redis-cache redis-queue
    check redis-cache,redis-queue
    ;;
  nginx)
    nginx -t -q || fail "nginx refuses its configuration; it was not restarted"
    restart nginx
    served
    ;;
  connect)
    restart "$UNIT"
    served
    ;;
esac
say "done: $1 serves"
