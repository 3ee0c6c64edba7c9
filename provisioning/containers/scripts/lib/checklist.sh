# shellcheck shell=bash
# Document S's three checklists, as a deployment goes through them. Sourced, never run.
#
# What a script can see to is ticked by the step that does it; what only people can is said to be
# theirs. The record of each attempt is kept, whatever became of it.

RECORDS=$BASE/state/deployments
RECORDS_KEPT=50

# stage|item|whose: a step of deploy.sh or confirm.sh, or a person
CHECKLIST=(
  'before|Code review approved|person'
  'before|All tests passing locally|person'
  'before|Linting passed|person'
  'before|Type checking passed|person'
  'before|Database migration tested|person'
  'before|Backup created|script'
  'before|Team notified|person'
  'before|Maintenance window (if needed)|person'
  'during|Build successful|script'
  'during|Image uploaded|script'
  'during|Database migrations applied|script'
  'during|Green deployment healthy|script'
  'during|Traffic switched|script'
  'during|Blue deployment healthy|confirm'
  'during|Both containers active|confirm'
  'after|Health check passed|script'
  'after|Critical endpoints tested|script'
  'after|Database queries working|script'
  'after|No error spikes in logs|script'
  'after|Performance metrics normal|person'
  'after|Monitoring alerts quiet|person'
  'after|Backup verified|person'
  'after|Documentation updated|person'
)

declare -A TICKED=()

tick() { # tick ITEM...: done now
  local item
  for item in "$@"; do TICKED[$item]=$(date --utc +%H:%M:%S); done
}

record() { # record VERSION: what was ticked, and what was not
  local row stage item whose mark file
  mkdir --parents "$RECORDS"
  file=$RECORDS/$(date --utc +%Y%m%dT%H%M%SZ)-$1.txt
  for row in "${CHECKLIST[@]}"; do
    IFS='|' read -r stage item whose <<<"$row"
    mark=${TICKED[$item]:-}
    if [ -n "$mark" ]; then echo "[x] $stage: $item ($mark)"
    elif [ "$whose" = script ]; then echo "[ ] $stage: $item (not done)"
    elif [ "$whose" = confirm ]; then echo "[ ] $stage: $item (by confirm.sh)"
    else echo "[ ] $stage: $item (a person's)"; fi
  done >"$file"
  find "$RECORDS" -name '*.txt' | sort --reverse | tail --lines=+$((RECORDS_KEPT + 1)) |
    xargs --no-run-if-empty rm
}
