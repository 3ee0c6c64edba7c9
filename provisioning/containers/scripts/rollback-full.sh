#!/bin/bash
# Start a saved version on the colour that does not serve, and send the traffic there.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: rollback-full.sh [VERSION | previous] | --help
Loads /opt/connect/images/connect-VERSION.tar.gz (previous: the version that was served before this
one), starts it as the colour that does not serve, waits until it is healthy (30 x 2 s) and sends new
requests there: nobody waits meanwhile. Migrations are not undone.
Exit code: 0 that version is served, 1 nothing was switched, 2 wrong usage.
Example: /opt/connect/scripts/rollback-full.sh 1.0.0
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/colours.sh
. "$HERE/lib/colours.sh"

previous() { # the newest version in the history that is not the one that is served
  local found
  found=$(grep --invert-match --line-regexp --fixed-strings "$1" "$HISTORY" | tail --lines=1)
  [ -n "$found" ] || fail "no version was served before $1"
  echo "$found"
}

case "${1:-}" in
  --help) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
esac
[ $# -le 1 ] || { usage >&2; exit 2; }
as_root "$@"
lock
settle
active=$(serving)
idle=${OTHER[$active]}
served=$(version_of_colour "$active")
version=${1:-previous}
[ "$version" != previous ] || version=$(previous "$served")
[ "$version" != "$served" ] || fail "version $version is served already"
saved=$IMAGES/connect-$version.tar.gz
[ -s "$saved" ] || fail "there is no saved image $saved"
say "load: connect:$version"
docker load --quiet --input "$saved" >/dev/null || fail "$saved can't be loaded"
say "start: $idle (${COLOUR[$idle]}) as version $version, beside $active"
exchange "$idle" "$version" ||
  fail "$idle was not healthy as version $version within $((ATTEMPTS * 2)) s; nothing was switched"
say "switch: new requests go to $idle"
switch "$idle" "$version"
docker tag "connect:$version" connect:latest
say "done: version $version is served by $idle (before: $served by $active)"
