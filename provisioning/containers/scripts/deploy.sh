#!/bin/bash
# Deploy a release package to the colour that does not serve, and send the traffic there.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: deploy.sh PACKAGE.tar.gz | --help
Checks the host, builds and saves the image connect:VERSION, applies its migrations, starts it as the
colour that does not serve, waits until it is healthy (30 x 2 s), sends new requests there, and checks
what users see; a failed check sends them back. The other colour goes on running the release of
before: rollback.sh returns to it at once, confirm.sh ends that. Whatever fails before the switch
leaves the traffic where it was.
Exit code: 0 deployed, 1 the release before serves, 2 wrong usage.
Example: /opt/connect/scripts/deploy.sh /tmp/connect-1.4.0.tar.gz
TEXT
}

HERE=$(dirname "$(realpath "$0")")
# shellcheck source=lib/colours.sh
. "$HERE/lib/colours.sh"
# shellcheck source=lib/checklist.sh
. "$HERE/lib/checklist.sh"

BACKUP_MINUTES=1560 # a night's backup, and two hours
IMAGES_KEPT=5

content_of() { # content_of FILE: of the package, which must be whole
  tar --extract --gzip --to-stdout --file "$package" "$1" 2>/dev/null
}

ready() { # document S, Deployment process, 1
  local used
  used=$(df --output=pcent "$BASE" | tail --lines=1 | tr -dc 0-9)
  [ "$used" -le "$DISK_LIMIT" ] || fail "the disk of $BASE is $used % full, at most $DISK_LIMIT % are allowed"
  docker exec connect_postgres pg_isready -U connect >/dev/null || fail "the database does not accept connections"
  docker exec connect_redis redis-cli ping | grep --quiet --line-regexp PONG || fail "Redis does not answer"
  [ -n "$(find -L "$BACKUP" -mmin "-$BACKUP_MINUTES" 2>/dev/null)" ] ||
    fail "there is no backup of today: backup-database.sh makes one"
  tick 'Backup created'
}

build() { # the image connect:$version, from the package
  local context
  context=$(mktemp --directory "$BASE/build/.release-XXXXXX")
  cp "$package" "$context/connect-$version.tar.gz"
  sed "s/^LABEL connect.version=.*/LABEL connect.version=$version/; s/connect-[^ ]*\.tar\.gz/connect-$version.tar.gz/" \
    "$BASE/build/connect/Dockerfile.production" >"$context/Dockerfile.production"
  docker build --quiet --build-arg "BASE=$NODE_IMAGE" --tag "connect:$version" \
    --file "$context/Dockerfile.production" "$context" >/dev/null || fail "the image can't be built"
  rm --recursive --force "$context"
}

save() { # what full rollbacks and other hosts load
  docker save "connect:$version" | gzip -1 >"$IMAGES/connect-$version.tar.gz.new"
  mv "$IMAGES/connect-$version.tar.gz.new" "$IMAGES/connect-$version.tar.gz"
}

prune() { # the newest images stay, and what the colours run
  local file kept
  kept=" $(version_of_colour app1) $(version_of_colour app2) "
  find "$IMAGES" -name 'connect-*.tar.gz' -printf '%T@ %f\n' | sort --reverse --numeric-sort |
    tail --lines=+$((IMAGES_KEPT + 1)) | while read -r _ file; do
    file=${file#connect-}
    file=${file%.tar.gz}
    [[ "$kept" != *" $file "* ]] || continue
    rm "$IMAGES/connect-$file.tar.gz"
    docker image rm "connect:$file" >/dev/null 2>&1 || true
  done
}

migrations() { # by the release's own tool, and asked for afterwards; its words on a failure
  local step said
  MIGRATE_DATABASE_URL=$(sed -n 's/^DATABASE_URL=//p' "$SECRETS")
  export MIGRATE_DATABASE_URL # the environment, not an argument, carries its password
  for step in "" --status; do
    # shellcheck disable=SC2086  # no step is no argument
    said=$(docker run --rm --network connect_connect --env MIGRATE_DATABASE_URL "connect:$version" \
      node migrate.js $step 2>&1 </dev/null) || { say "$said"; return 1; }
  done
}

case "${1:-}" in
  --help) usage; exit 0 ;;
  "" | -*) usage >&2; exit 2 ;;
esac
[ $# -eq 1 ] || { usage >&2; exit 2; }
as_root "$@"
lock
package=$(realpath "$1")
version=$(content_of VERSION || content_of ./VERSION) || fail "$package is no release package"
version=${version%%$'\n'*}
[[ "$version" =~ ^[0-9A-Za-z][0-9A-Za-z._-]*$ ]] || fail "VERSION in the package is '$version'"
settle
active=$(serving)
idle=${OTHER[$active]}
before=$(version_of_colour "$active")
[ "$before" != "$version" ] || fail "version $version is served already"

trap 'record "$version"' EXIT
say "check: is the host ready?"
ready
say "build: image connect:$version"
build
tick 'Build successful'
save
tick 'Image uploaded'
say "migrate: with the new release"
migrations || fail "the migrations failed; nothing was switched"
tick 'Database migrations applied'
say "start: $idle (${COLOUR[$idle]}) as version $version, beside $active"
exchange "$idle" "$version" ||
  fail "$idle was not healthy as version $version within $((ATTEMPTS * 2)) s; nothing was switched"
tick 'Green deployment healthy'
say "switch: new requests go to $idle"
switch "$idle" "$version"
tick 'Traffic switched'
if ! "$HERE/post-deploy-check.sh" "$version"; then
  switch "$active" "$before"
  fail "the check after the switch failed; $active serves again"
fi
tick 'Health check passed' 'Critical endpoints tested' 'Database queries working' 'No error spikes in logs'
docker tag "connect:$version" connect:latest
prune
say "done: version $version is served by $idle; $active still runs version $before"
