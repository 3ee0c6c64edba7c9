#!/bin/bash
# Confirm the release that serves: both colours run it, and the primary serves again.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: confirm.sh [--help]
Starts the other colour with the release that is served and, when it is healthy, gives the traffic to
app1, the primary of the two. From then on there is no instant way back to the release of before.
Exit code: 0 both colours run the release, 1 the traffic is where it was, 2 wrong usage.
Example: /opt/connect/scripts/confirm.sh
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/colours.sh
. "$HERE/lib/colours.sh"
# shellcheck source=lib/checklist.sh
. "$HERE/lib/checklist.sh"

no_arguments "$@"
as_root "$@"
lock
settle
active=$(serving)
other=${OTHER[$active]}
version=$(version_of_colour "$active")
say "start: $other (${COLOUR[$other]}) as version $version"
exchange "$other" "$version" || fail "$other is not healthy as version $version; $active goes on serving"
tick 'Blue deployment healthy'
switch app1 "$version"
tick 'Both containers active'
record "$version-confirmed"
say "done: both colours run version $version, app1 serves"
