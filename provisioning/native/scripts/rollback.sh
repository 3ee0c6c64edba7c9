#!/bin/bash
# Back to the release that was current before this one, without an interruption.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: rollback.sh [--help]
Tries the release that was current before on a private socket, switches /opt/connect/current to it
in one step, reloads PM2 and asks the front door for its version. Again goes one release further
back. Whatever fails is taken back. Run it as user connect (with sudo) or as root.
Exit code: 0 done, 1 nothing changed (or taken back), 2 wrong usage, 3 could not be taken back.
Example: /opt/connect/scripts/rollback.sh
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/common.sh
. "$HERE/lib/common.sh"
# shellcheck source=lib/releases.sh
. "$HERE/lib/releases.sh"

no_arguments "$@"
as_root "$@"

lock
recover
current=$(current_release)
target=$(previous_release) || fail "no release was current before $current: there is nothing to go back to"
begin "$target" rollback
say "trial: release $target on a private socket"
trial "$target" || fail "release $target does not pass its health check; nothing was switched"
say "switch: current leads to $target; PM2 reloads"
activate "$target" || fail "release $target is not served"
forget_after "$target" # before the switch is final: killed in between, it is taken back as a whole
rm "$JOURNAL"
say "done: version $(version_of "$target") is served, release $target (before: $current)"
