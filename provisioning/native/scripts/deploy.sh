#!/bin/bash
# Put a release package in place: unpack beside, switch `current` in one step, keep five.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: deploy.sh PACKAGE.tar.gz | --help
Unpacks the package as a new release and switches /opt/connect/current to it in one step.
The release that was current is remembered for rollback.sh. Run it as user connect.
Exit code: 0 done, 1 nothing was switched, 2 wrong usage.
Example: /opt/connect/scripts/deploy.sh /tmp/connect-20241215.tar.gz
TEXT
}

BASE=/opt/connect
KEEP=5 # architecture v2.0, 2.2

case "${1:-}" in
  --help) usage; exit 0 ;;
  "" | -*) usage >&2; exit 2 ;;
esac
package=$1

exec 9>"$BASE/releases/.lock"
flock --nonblock 9 || { echo "another deployment is running" >&2; exit 1; }

name=$(date -u +%Y-%m-%dT%H-%M-%S)
staged="$BASE/releases/.new-$name"
trap 'rm -rf "$staged"' EXIT
find "$BASE/releases" -maxdepth 1 -name '.new-*' -exec rm -rf {} + # an interrupted deployment's
mkdir "$staged"
tar --extract --gzip --no-same-owner --file "$package" --directory "$staged"
[ -n "$(ls -A "$staged")" ] || { echo "$package is empty" >&2; exit 1; }
mv --no-target-directory "$staged" "$BASE/releases/$name"

previous=$(readlink "$BASE/current")
ln --symbolic --force --no-dereference "$previous" "$BASE/releases/.previous"
ln --symbolic "releases/$name" "$BASE/.current-$name"
mv --no-target-directory "$BASE/.current-$name" "$BASE/current"

current=$(basename "$(readlink "$BASE/current")")
before=$(basename "$previous")
find "$BASE/releases" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort --reverse |
  { grep --invert-match --line-regexp --regexp "$current" --regexp "$before" || true; } |
  tail --lines "+$((KEEP - 1))" | while read -r old; do rm -rf "${BASE:?}/releases/$old"; done
echo "current release: $current (before: $before)"
