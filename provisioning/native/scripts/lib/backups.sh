# shellcheck shell=bash disable=SC2034  # what it sets, the scripts use
# What the backup and restore scripts share. Sourced after common.sh.

BACKUPS=$BASE/backup/system
DATA=/var/lib/postgresql/15/main
KEPT=/var/lib/connect-infra/before-restore # what a restore replaced
MANIFEST=MANIFEST.sha256

one_at_a_time() { # backups and restores exclude each other
  install --directory /var/lib/connect-infra
  exec 8>/var/lib/connect-infra/backup.lock
  flock --nonblock 8 || fail "another backup or restore is running; try again when it has ended"
}

newest_system_backup() { # its path; nothing when there is none
  find "$BACKUPS" -maxdepth 1 -name 'connect_system_*.tar.gz' 2>/dev/null | sort | tail --lines=1
}

unpack_and_compare() { # unpack_and_compare ARCHIVE DIRECTORY: every file as it was when it was kept
  local name
  name=$(basename "$1" .tar.gz)
  tar --extract --gzip --directory "$2" --file "$1" || return 1
  [ -f "$2/$name/$MANIFEST" ] || { say "error: $1 has no $name/$MANIFEST" >&2; return 1; }
  (cd "$2/$name" && sha256sum --check --quiet --strict "$MANIFEST") || return 1
  say "$name: $(wc --lines <"$2/$name/$MANIFEST") files, each as it was"
}
