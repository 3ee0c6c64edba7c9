"""Faults of processes and what they need: signals, memory, files, processor time."""

import shlex

from chaos.faults.base import Fault, start


def kill(number: int, pids: str, unit: str) -> Fault:
    """End processes with SIGKILL. They must be gone, and others must have taken their place."""
    file = f"$drill/victims-{number}"
    return Fault(
        inject=_victims(number, pids) + "kill -KILL $victims\n",
        happened=f"""
while read -r pid start; do
  case "$(state_of "$pid")" in ''|Z) ;; *) test "$(start_of "$pid")" != "$start" ;; esac
done < {file}
""",
        undo=start(unit),
        healed=f'systemctl is-active --quiet {unit} && test -n "$({pids})"',
    )


def freeze(number: int, pids: str, unit: str) -> Fault:
    """Stop processes with SIGSTOP: they are there, hold their sockets, and do nothing."""
    file = f"$drill/victims-{number}"
    each = 'while read -r pid start; do [ "$(start_of "$pid")" != "$start" ] || '
    return Fault(
        inject=_victims(number, pids) + "kill -STOP $victims\n",
        happened=f'while read -r pid start; do test "$(state_of "$pid")" = T; done < {file}',
        undo=f'test -e {file} || exit 0\n{each} kill -CONT "$pid"; done < {file}\n' + start(unit),
        healed=f'for pid in $({pids}); do test "$(state_of "$pid")" != T; done',
    )


def stop(number: int, unit: str) -> Fault:
    """Stop a unit as an operator would."""
    return Fault(
        inject=f"systemctl stop {unit}",
        happened=f"! systemctl is-active --quiet {unit}",
        undo=start(unit),
        healed=f"systemctl is-active --quiet {unit}",
    )


def burn(number: int, processes: int) -> Fault:
    """Take the processors away: endless loops with the priority of any other service."""
    unit = f"connect-infra-drill-burn-{number}"
    loops = f"for i in $(seq {processes}); do while :; do :; done & done; wait"
    return Fault(
        inject=f"systemd-run --quiet --unit={unit} /bin/sh -c {shlex.quote(loops)}",
        happened=f'test "$(systemctl show -p TasksCurrent --value {unit})" -gt {processes}',
        undo=f"systemctl stop {unit} 2>/dev/null || true\n"
        f"systemctl reset-failed {unit} 2>/dev/null || true",
        healed=f"! systemctl is-active --quiet {unit}",
    )


def out_of_memory(number: int, unit: str, megabytes: int, hog: str) -> Fault:
    """Give a unit so much memory and no more, then have it ask for more: the kernel kills it."""
    return Fault(
        inject=f"""
main_pid {unit} > $drill/victims-{number}
systemctl set-property --runtime {unit} MemoryMax={megabytes}M MemorySwapMax=0
( {hog} ) >/dev/null 2>&1 || true
""",
        happened=f"""
test -s $drill/victims-{number}
! test "$(main_pid {unit})" = "$(cat $drill/victims-{number})"
""",
        undo=f"""
systemctl set-property --runtime {unit} MemoryMax=infinity MemorySwapMax=infinity
rm -rf /run/systemd/system.control/{unit}.d
systemctl daemon-reload
"""
        + start(unit),
        healed=f'test "$(systemctl show -p MemoryMax --value {unit})" = infinity '
        f"&& systemctl is-active --quiet {unit}",
    )


def few_files(number: int, pids: str, user: str, files: int, unit: str) -> Fault:
    """Let processes open no more than `files` files; only the soft limit, which they may raise."""
    limit = f'runuser -u {user} -- prlimit --pid "$pid" --nofile'
    return Fault(
        inject=f"""
for pid in $({pids}); do
  echo "$pid $(start_of "$pid") $(soft_files "$pid")"
done > $drill/limits-{number}
while read -r pid start soft; do {limit}={files}: </dev/null; done < $drill/limits-{number}
""",
        happened=f"""
test -s $drill/limits-{number}
while read -r pid start soft; do
  test "$(soft_files "$pid")" = {files}
done < $drill/limits-{number}
""",
        undo=f"""
test -e $drill/limits-{number} || exit 0
while read -r pid start soft; do
  [ "$(start_of "$pid")" != "$start" ] || {limit}="$soft": </dev/null
done < $drill/limits-{number}
"""
        + start(unit),
        healed=f"""
for pid in $({pids}); do
  test "$(soft_files "$pid")" != {files}
done
""",
    )


def _victims(number: int, pids: str) -> str:
    """Note the processes with their start times; there must be some.

    A service that has just been started answers before systemd knows its main process.
    """
    return f"""
for tenth in $(seq 100); do
  if victims=$({pids}) && test -n "$victims"; then break; fi
  sleep 0.1
done
test -n "$victims"
for pid in $victims; do echo "$pid $(start_of "$pid")"; done > $drill/victims-{number}
"""
