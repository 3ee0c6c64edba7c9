#!/bin/bash
# Document S's check after a deployment: each part of it can fail.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: post-deploy-check.sh [VERSION | --help]
Asks the front door by its name for its health (and VERSION), the critical pages and the homepage, the
database for its users, Redis for an answer, and counts errors in the log of the colour that serves:
at most 10 in five minutes.
Exit code: 0 all of it is well, 1 something is not, 2 wrong usage.
Example: /opt/connect/scripts/post-deploy-check.sh 1.4.0
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/database.sh
. "$HERE/lib/database.sh"

ERRORS=10 # in five minutes

page() { # page PATH WORD: answered with 200, and the word is in it
  curl --silent --show-error --fail --max-time 5 --cacert "$CERTIFICATE" --resolve "$DOMAIN:443:127.0.0.1" \
    "https://$DOMAIN$1" | grep "$2" >/dev/null || fail "$1 does not hold $2"
}

case "${1:-}" in
  --help) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
esac
[ $# -le 1 ] || { usage >&2; exit 2; }
as_root "$@"
active=$(serving)
version=${1:-$(version_of_colour "$active")}
at_the_front_door "$version" || fail "the front door does not serve version $version"
page / Connect
page /api/programs '"programs"'
users=$(query "SELECT count(*) FROM users") || fail "the database does not answer"
answers PONG docker exec connect_redis redis-cli ping || fail "Redis does not answer"
errors=$(docker logs --since 5m "connect_$active" 2>&1 | grep --ignore-case --count error) || true
[ "$errors" -le "$ERRORS" ] || fail "$errors errors in five minutes in the log of connect_$active"
say "checked: version $version is healthy, $users users, Redis answers, $errors errors in five minutes"
