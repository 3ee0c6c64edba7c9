#!/bin/bash
# Back to the release that was current before the last deployment, in one step.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: rollback.sh [--help]
Switches /opt/connect/current back to the release that the last deployment replaced.
Run it as user connect. Exit code: 0 done, 1 there is none to go back to, 2 wrong usage.
Example: /opt/connect/scripts/rollback.sh
TEXT
}

BASE=/opt/connect

case "${1:-}" in
  "") ;;
  --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

exec 9>"$BASE/releases/.lock"
flock --nonblock 9 || { echo "a deployment is running" >&2; exit 1; }

previous=$(readlink "$BASE/releases/.previous") || {
  echo "no release was replaced yet: nothing to go back to" >&2
  exit 1
}
[ -d "$BASE/$previous" ] || { echo "$previous is gone" >&2; exit 1; }
[ "$previous" != "$(readlink "$BASE/current")" ] || { echo "$previous is current" >&2; exit 1; }
ln --symbolic "$previous" "$BASE/.current-rollback.$$"
mv --no-target-directory "$BASE/.current-rollback.$$" "$BASE/current"
rm --force "$BASE/releases/.previous"
echo "current release: $(basename "$previous")"
