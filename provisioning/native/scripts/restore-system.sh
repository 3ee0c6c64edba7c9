#!/bin/bash
# Releases, configuration and uploads from a system backup.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: restore-system.sh [ARCHIVE.tar.gz | --help]
Unpacks a system backup (the newest unless told otherwise), compares every file with its checksum,
puts configuration, uploads and releases back, switches to the release that was current and restarts
the application. Files that the backup does not have stay. Run it as user connect (with sudo) or
root. Links (nginx.conf) stay links: what they lead to is provisioned.
Exit code: 0 restored and served, 1 not, 2 wrong usage. Run it again after a failure.
Example: /opt/connect/scripts/restore-system.sh
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/common.sh
. "$HERE/lib/common.sh"
# shellcheck source=lib/releases.sh
. "$HERE/lib/releases.sh"
# shellcheck source=lib/backups.sh
. "$HERE/lib/backups.sh"

put_back() { # put_back FROM TO: files that are links in TO stay links
  local file
  (cd "$1" && find . -type f -print0) | while IFS= read -r -d '' file; do
    [ ! -L "$2/$file" ] || continue
    install --directory --owner=connect --group=connect "$(dirname "$2/$file")"
    cp --archive --force "$1/$file" "$2/$file.restoring"
    mv --no-target-directory "$2/$file.restoring" "$2/$file"
  done
}

put_back_releases() {
  local release
  for release in "$1"/*/; do
    release=$(basename "$release")
    [ "$release" != "$(current_release)" ] || [ ! -d "$RELEASES/$release" ] || continue
    rm --recursive --force "${RELEASES:?}/$release"
    cp --archive "$1/$release" "$RELEASES/.new-$release"
    mv --no-target-directory "$RELEASES/.new-$release" "$RELEASES/$release"
  done
}

case "${1:-}" in
  --help) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
esac
as_root "$@"
lock
one_at_a_time
recover

archive=${1:-$(newest_system_backup)}
[ -n "$archive" ] || fail "there is no system backup in $BACKUPS"
[ -f "$archive" ] || fail "there is no archive $archive"
archive=$(realpath "$archive")
scratch=$(mktemp --directory "$BASE/backup/.restoring-XXXXXX")
trap 'rm --recursive --force "$scratch"' EXIT
say "unpack: $archive"
unpack_and_compare "$archive" "$scratch" || fail "$archive is damaged; nothing was changed"
kept=$scratch/$(basename "$archive" .tar.gz)
say "put back: configuration, uploads, monitoring"
put_back "$kept/config" "$BASE/shared/config"
put_back "$kept/uploads" "$BASE/shared/uploads"
put_back "$kept/monitoring" "$BASE/monitoring"
say "put back: releases"
put_back_releases "$kept/releases"
sync --file-system "$BASE"
release=$(cat "$kept/CURRENT")
say "switch: current leads to $release; the application restarts"
point_to "$release"
cp "$kept/HISTORY" "$HISTORY"
note_current
systemctl restart "$UNIT"
! deployed "$release" || patiently 90 serves "$release" || fail "the application does not serve"
say "done: release $release, configuration and uploads are as they were kept"
