#!/bin/bash
# Send the traffic back to the colour that was left behind, which still runs the release of before.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: rollback.sh [--help]
Sends new requests to the other colour, at HAProxy's runtime socket: nothing is started or reloaded.
Refuses when that colour does not run another release, or is not healthy.
Exit code: 0 the other release is served, 1 nothing was changed, 2 wrong usage.
Example: /opt/connect/scripts/rollback.sh
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/colours.sh
. "$HERE/lib/colours.sh"

no_arguments "$@"
as_root "$@"
lock
started=$(date +%s%N)
active=$(serving)
other=${OTHER[$active]}
from=$(version_of_colour "$active")
to=$(version_of_colour "$other")
[ "$from" != "$to" ] || fail "both colours run version $from: there is nothing to go back to"
switch "$other" "$to"
say "done: version $to is served by $other, $((($(date +%s%N) - started) / 1000000)) ms after the start (before: $from by $active)"
