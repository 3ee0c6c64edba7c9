#!/bin/bash
# A backup of what is not in the database: Redis' data and the uploads.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: backup-system.sh [--help]
Has Redis write its data, and keeps it as /backups/redis/dump.rdb; copies new and changed uploads to
/backups/uploads.
Exit code: 0 done, 1 something was not kept, 2 wrong usage.
Example: /opt/connect/scripts/backup-system.sh
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/database.sh
. "$HERE/lib/database.sh"

saved_since() { # saved_since TIME: Redis has written its data later than that, without an error
  local info
  info=$(redis_info)
  [ "$(sed -n 's/^rdb_last_save_time://p' <<<"$info")" -ge "$1" ] &&
    grep --quiet '^rdb_bgsave_in_progress:0' <<<"$info" &&
    grep --quiet '^rdb_last_bgsave_status:ok' <<<"$info"
}

redis_info() {
  docker exec connect_redis redis-cli info persistence | tr --delete '\r'
}

no_arguments "$@"
as_root "$@"
one_at_a_time
now=$(docker exec connect_redis redis-cli time | head --lines=1)
docker exec connect_redis redis-cli bgsave schedule >/dev/null || fail "Redis does not answer"
patiently 60 saved_since "$now" || fail "Redis did not write its data"
docker cp connect_redis:/data/dump.rdb "$BACKUPS/redis/dump.rdb.new" >/dev/null
sync "$BACKUPS/redis/dump.rdb.new"
mv "$BACKUPS/redis/dump.rdb.new" "$BACKUPS/redis/dump.rdb"
say "redis: $(stat --format=%s "$BACKUPS/redis/dump.rdb") bytes"
copy_uploads "$BASE/uploads" "$BACKUPS/uploads"
say "done: $(find "$BACKUPS/uploads" -type f | wc --lines) uploads are kept"
