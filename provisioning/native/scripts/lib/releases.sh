# shellcheck shell=bash
# What deploy.sh and rollback.sh share: one at a time, the trial of a release, the switch to it, and
# taking back what did not work or was killed. Sourced after common.sh.
#
# No function here counts on `set -e`: it is off wherever a caller asks whether the function worked.

JOURNAL=$STATE/switching # "NEW BEFORE deploy|rollback" while one is under way
HISTORY=$STATE/history   # releases in the order in which they became current; the last one is
TRIAL=connect-trial      # the unit that runs a release on a private socket
PATIENCE=20              # seconds after PM2 has reloaded: what is not served by then does not come

lock() { # one deployment or rollback at a time; what it started keeps the lock until it has ended
  install --directory "$STATE"
  exec 9>"$STATE/lock"
  flock --nonblock 9 || fail "another deployment or rollback is running; try again when it has ended"
}

begin() { # begin NEW deploy|rollback: from here on, whatever happens, `undo` leads back
  write "$JOURNAL" "$1 $(current_release) $2"
  trap 'exit 1' INT TERM HUP
  trap '' PIPE # whoever watches may leave
  trap ended EXIT
}

ended() { # unless it is done: back to where it began; exit code 3 when that does not work either
  local code=$?
  trap - EXIT
  [ -e "$JOURNAL" ] || exit "$code"
  say "undo: back to the release before"
  if undo; then
    say "release $(current_release) is current, as before"
    exit 1
  fi
  say "error: $(current_release) does not serve either; look at: journalctl -u $UNIT" >&2
  exit 3
}

undo() { # back to the release before the one in the journal; nothing of the attempt is left
  local new before kind
  end_trial
  rm --recursive --force "$RELEASES"/.new-* "$RELEASES"/.old-* "$BASE"/.current-* "$STATE"/*.fresh || return 1
  [ -e "$JOURNAL" ] || return 0
  read -r new before kind <"$JOURNAL"
  if [ "$(current_release)" != "$before" ] || { deployed "$before" && ! runs_only "$before" >/dev/null; }; then
    activate "$before" || return 1
  fi
  [ "$kind" = rollback ] || rm --recursive --force "${RELEASES:?}/$new" || return 1
  rm "$JOURNAL"
}

recover() { # what a killed deployment or rollback left
  [ ! -e "$JOURNAL" ] || say "recover: an unfinished switch to $(cut --delimiter=' ' --fields=1 "$JOURNAL") is taken back"
  undo || fail "the unfinished switch can't be taken back; look at: journalctl -u $UNIT"
  note_current
}

trial() { # trial RELEASE: it starts, with the real settings, and answers on a socket of its own
  local version since
  version=$(version_of "$1")
  end_trial
  since=$(date +@%s.%N)
  # The environment file would win over --setenv, env wins over both. The unit ends by itself, also
  # when this script is killed.
  systemd-run --quiet --collect --unit="$TRIAL" --uid=connect --gid=connect \
    --property=RuntimeDirectory="$TRIAL" --property=RuntimeMaxSec=60 --property=PrivateTmp=yes \
    --property=EnvironmentFile="$ENVIRONMENT" --working-directory="$RELEASES/$1" \
    env NODE_ENV=production PORT=0 SOCKET_PATH="/run/$TRIAL/socket" METRICS_PORT=0 QUEUE_WORKER=off \
    node server.js 9>&- || return 1
  if patiently 30 trial_answers "$version"; then
    end_trial
  else
    journalctl --quiet --no-pager --output=cat --unit="$TRIAL" --since="$since" | tail --lines=15 | cut --characters=1-200
    end_trial
    return 1
  fi
}

trial_answers() { # trial_answers VERSION; 2 when the process has ended: waiting is pointless then
  ask_socket "$1" "/run/$TRIAL/socket" && return
  systemctl is-active --quiet "$TRIAL.service" || return 2
  return 1
}

end_trial() {
  systemctl stop "$TRIAL.service" 2>/dev/null || true
}

point_to() { # point_to RELEASE: `current` leads there, in one step
  local beside="$BASE/.current-$1"
  ln --symbolic --force --no-dereference "releases/$1" "$beside" &&
    chown --no-dereference connect:connect "$beside" &&
    mv --no-target-directory "$beside" "$BASE/current"
}

activate() { # activate RELEASE: `current`, PM2's processes and the front door's answers are of it
  point_to "$1" || return 1
  if ! deployed "$1"; then
    systemctl restart "$UNIT" # the empty release of a new host: PM2 without an application
    return $?                 # in a trap, a bare return would give what was before the trap
  fi
  # A reload starts each new process before it ends an old one, and follows the link.
  systemctl reload-or-restart "$UNIT" || return 1
  patiently "$PATIENCE" serves "$1"
}

previous_release() { # the release that was current before this one and is still there
  local name current last='' found=''
  current=$(current_release)
  while read -r name; do
    if [ "$name" = "$current" ]; then
      found=$last
    elif deployed "$name"; then
      last=$name
    fi
  done <"$HISTORY"
  [ -n "$found" ] && echo "$found"
}

note_current() { # the history ends with the current release, unless that is a new host's empty one
  local current
  current=$(current_release)
  touch "$HISTORY"
  if deployed "$current" && [ "$(tail --lines=1 "$HISTORY")" != "$current" ]; then
    write "$HISTORY" "$(tail --lines=99 "$HISTORY")" "$current"
  fi
}

forget_after() { # forget_after RELEASE: the history ends with it
  local last
  last=$(grep --line-number --line-regexp --fixed-strings "$1" "$HISTORY" | tail --lines=1)
  write "$HISTORY" "$(head --lines="${last%%:*}" "$HISTORY")"
}

write() { # write FILE LINE...: flushed and in one step
  printf '%s\n' "${@:2}" | sed '/^$/d' >"$1.fresh" && sync "$1.fresh" && mv --no-target-directory "$1.fresh" "$1"
}
