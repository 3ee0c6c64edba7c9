#!/bin/bash
# Keep releases, configuration, uploads and monitoring in one archive.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: backup-system.sh [--help]
Writes /opt/connect/backup/system/connect_system_<time>.tar.gz with the current release and the one
before it, shared/config (secrets included), uploads and monitoring, and a checksum of every file.
Archives older than 30 days are removed, the newest never. Run it as user connect (with sudo) or as
root.
Exit code: 0 done, 1 no archive was made, 2 wrong usage.
Example: /opt/connect/scripts/backup-system.sh
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/common.sh
. "$HERE/lib/common.sh"
# shellcheck source=lib/releases.sh
. "$HERE/lib/releases.sh"
# shellcheck source=lib/backups.sh
. "$HERE/lib/backups.sh"

collect() { # collect DIRECTORY: links to what is big and is never changed, copies of the rest
  local release
  mkdir "$1/releases" "$1/uploads"
  for release in "$(current_release)" $(previous_release || true); do
    duplicate "$RELEASES/$release" "$1/releases/"
  done
  duplicate "$BASE/shared/uploads/." "$1/uploads/"
  find "$1/uploads" -name '*.tmp' -delete # not whole yet
  # Links into /etc are followed: the archive has the files themselves.
  cp --recursive --dereference --preserve "$BASE/shared/config" "$BASE/monitoring" "$1/"
  current_release >"$1/CURRENT"
  cp "$HISTORY" "$1/HISTORY"
}

duplicate() { # duplicate FROM TO: hard links where both are on one disk
  cp --archive --link "$1" "$2" 2>/dev/null || cp --archive "$1" "$2"
}

sums_of() { # sums_of DIRECTORY: a checksum of every file in it
  (cd "$1" && find . -type f -print0 | sort --zero-terminated | xargs --null sha256sum)
}

no_arguments "$@"
as_root "$@"
one_at_a_time

install --directory --mode=700 "$BACKUPS"
rm --recursive --force "$BACKUPS"/.making-* # of a backup that was killed
making=$(mktemp --directory "$BACKUPS/.making-XXXXXX")
trap 'rm --recursive --force "$making"' EXIT
install --directory "$STATE"
name=connect_system_$(date --utc +%Y%m%d_%H%M%S)
say "collect: releases, configuration, uploads, monitoring"
mkdir "$making/$name"
note_current
collect "$making/$name"
sums_of "$making/$name" >"$making/sums"
mv "$making/sums" "$making/$name/$MANIFEST"
say "pack: $(wc --lines <"$making/$name/$MANIFEST") files"
(umask 077 && tar --create --gzip --directory "$making" --file "$making/$name.tar.gz" "$name")
sync "$making/$name.tar.gz"
mv --no-target-directory "$making/$name.tar.gz" "$BACKUPS/$name.tar.gz"
sync "$BACKUPS"
find "$BACKUPS" -name 'connect_system_*.tar.gz' -mtime "+$KEEP_DAYS" ! -name "$name.tar.gz" -print -delete
say "done: $BACKUPS/$name.tar.gz, $(du --human-readable "$BACKUPS/$name.tar.gz" | cut --fields=1)"
