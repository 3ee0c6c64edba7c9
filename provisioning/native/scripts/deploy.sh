#!/bin/bash
# Deploy a release package without an interruption, or leave everything as it was.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: deploy.sh PACKAGE.tar.gz | --recover | --help
Checks the host, unpacks the package beside the current release, installs its dependencies, applies
its migrations, tries it on a private socket, switches /opt/connect/current to it in one step,
reloads PM2 and asks the front door for the new version. Whatever fails or is interrupted is taken
back. Run it as user connect (with sudo) or as root.
  --recover  only clean up after a deployment or rollback that was killed
Exit code: 0 deployed, 1 nothing changed (or taken back), 2 wrong usage, 3 could not be taken back.
Example: /opt/connect/scripts/deploy.sh /tmp/connect-1.4.0.tar.gz
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/common.sh
. "$HERE/lib/common.sh"
# shellcheck source=lib/releases.sh
. "$HERE/lib/releases.sh"

readable() { # the package is whole, and there is room for it
  local size free
  [ -f "$package" ] || fail "there is no package $package"
  size=$(gzip --decompress --stdout "$package" 2>/dev/null | wc --bytes) || fail "$package is no whole gzip file"
  free=$(df --output=avail --block-size=1 "$RELEASES" | tail --lines=1)
  # Twice: many small files take more room than their bytes.
  [ "$free" -ge $((2 * size)) ] ||
    fail "$RELEASES has $((free >> 20)) MiB left, the release needs $((size >> 19)) MiB"
}

unpack() {
  local file
  install --directory --owner=connect --group=connect "$staged"
  as_user connect tar --extract --gzip --directory "$staged" <"$package" || fail "$package can't be unpacked"
  for file in server.js migrate.js package.json VERSION; do
    [ -f "$staged/$file" ] || fail "the package has no $file: it is no release of Connect"
  done
  version=$(version_of ".new-$name")
  [[ "$version" =~ ^[0-9A-Za-z][0-9A-Za-z._-]*$ ]] || fail "VERSION in the package is '$version'"
}

dependencies() { # for this architecture where a lock file says which, else those in the package
  local missing
  if [ -f "$staged/package-lock.json" ]; then
    as_user connect env HOME=/home/connect npm ci --prefix "$staged" --omit=dev --no-audit --no-fund ||
      fail "npm ci failed"
  fi
  missing=$(jq --raw-output '.dependencies // {} | keys[]' "$staged/package.json" |
    while read -r module; do [ -e "$staged/node_modules/$module" ] || echo "$module"; done)
  [ -z "$missing" ] || fail "dependencies are missing: ${missing//$'\n'/ }"
}

migrations() { # by the release's own tool, over a direct connection, and asked for afterwards
  as_application node "$staged/migrate.js" || fail "the migrations failed"
  as_application node "$staged/migrate.js" --status >/dev/null || fail "migrations are still pending"
}

# shellcheck disable=SC2016  # expanded by the inner shell
as_application() { # the environment file's variables, and the way to PostgreSQL past the pool
  as_user connect bash -euc '
    set -a
    . "$1"
    MIGRATE_DATABASE_URL=${DATABASE_URL/:$2\//:$3/}
    exec "${@:4}"' bash "$ENVIRONMENT" "$POOL_PORT" "$DATABASE_PORT" "$@"
}

clean_up() { # the current release, the one before it, and the newest others
  local current before
  current=$(current_release)
  before=$(previous_release) || before=$current
  find "$RELEASES" -mindepth 1 -maxdepth 1 -type d ! -name '.*' -printf '%f\n' | sort --reverse |
    awk -v current="$current" -v before="$before" -v room="$KEEP_RELEASES" '
      BEGIN { room -= (current == before) ? 1 : 2 }
      $0 != current && $0 != before && --room < 0' |
    while read -r old; do
      # Renamed first: a clean-up that is killed leaves no half a release.
      mv "$RELEASES/$old" "$RELEASES/.old-$old"
      rm --recursive --force "$RELEASES/.old-$old"
      say "removed release $old"
    done
}

case "${1:-}" in
  --help) usage; exit 0 ;;
  --recover) ;;
  "" | -*) usage >&2; exit 2 ;;
esac
[ $# -eq 1 ] || { usage >&2; exit 2; }
as_root "$@"

lock
recover
[ "$1" != --recover ] || { say "release $(current_release) is current"; exit 0; }
package=$(realpath "$1")
say "check: is the host ready?"
"$HERE/pre-deployment-check.sh" || fail "the host is not ready; nothing was changed"
readable

until name=$(date --utc +%Y-%m-%dT%H-%M-%S) && [ ! -e "$RELEASES/$name" ]; do sleep 0.2; done
staged=$RELEASES/.new-$name
begin "$name" deploy
say "unpack: beside the current release"
unpack
say "dependencies: of version $version"
dependencies
say "migrate: over a direct connection"
migrations
mv --no-target-directory "$staged" "$RELEASES/$name"
sync --file-system "$RELEASES"
say "trial: release $name on a private socket"
trial "$name" || fail "the release does not pass its health check; nothing was switched"
say "switch: current leads to $name; PM2 reloads"
activate "$name" || fail "the release is not served"
rm "$JOURNAL" # from here on it stands
note_current
say "clean up: keep $KEEP_RELEASES releases"
clean_up
say "done: version $version is served, release $name (before: $(previous_release || echo none))"
