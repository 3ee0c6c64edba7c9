#!/bin/bash
# Redis' data and the uploads from their backup.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: restore-system.sh [--help]
Stops Redis, puts /backups/redis/dump.rdb in the place of its data, starts it again; copies
/backups/uploads to /opt/connect/uploads. Uploads that the backup lacks stay.
Exit code: 0 restored and served, 1 not, 2 wrong usage. Run it again after a failure.
Example: /opt/connect/scripts/restore-system.sh
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/database.sh
. "$HERE/lib/database.sh"

no_arguments "$@"
as_root "$@"
lock
one_at_a_time
trap '' PIPE

dump=$BACKUPS/redis/dump.rdb
[ "$(head --bytes=5 "$dump" 2>/dev/null)" = REDIS ] || fail "$dump is no data of Redis; nothing was stopped"
say "stop: Redis"
compose stop redis >/dev/null 2>&1
say "restore: $(stat --format=%s "$dump") bytes of Redis' data"
# A running Redis would write its own data over it when it stops.
docker run --rm --interactive --volumes-from connect_redis \
  "$(docker inspect --format '{{.Config.Image}}' connect_redis)" \
  sh -c 'cat >/data/dump.rdb.new && mv /data/dump.rdb.new /data/dump.rdb' <"$dump"
compose start redis >/dev/null 2>&1
patiently 60 answers PONG docker exec connect_redis redis-cli ping || fail "Redis does not answer"
say "restore: uploads"
copy_uploads "$BACKUPS/uploads" "$BASE/uploads"
start_apps
say "done: Redis and uploads are restored"
