"""Faults as pairs of sh scripts: make it and see that it happened, undo it and see it gone.

Each function returns a `Fault` for one kind; drills name kind and parameters in data. An undo
script may run twice, at any point of the drill, with nobody left to tell it what was done before:
what it must know is in its own text or in the drill's directory on the host.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from chaos import procedures, watchdog
from chaos.images import cut, fill, on_image

BEFORE = "before"
"""As a fault's version: the one that the site had before the drill prepared it."""

Parameters = Mapping[str, str | int | float]

PRELUDE = f"""set -eu
drill={watchdog.HOME}
stat_field() {{ sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f"$2"; }}
state_of() {{ stat_field "$1" 1; }}
start_of() {{ stat_field "$1" 20; }}
main_pid() {{
  pid=$(systemctl show -p MainPID --value "$1")
  test "$pid" -gt 0
  echo "$pid"
}}
soft_files() {{ awk '/^Max open files/ {{ print $4 }}' "/proc/$1/limits"; }}
"""
"""What every script begins with. A process is the same one only with the same start time."""


@dataclass(frozen=True)
class Fault:
    """Scripts for the host, without the prelude. `machine`: done to the host itself instead."""

    prepare: str = ":"
    """Before the workload begins; may restart services. The undo is on disk by then."""
    inject: str = ":"
    happened: str = ":"
    """Exit code 0 when the fault is there."""
    undo: str = ":"
    healed: str = ":"
    """Exit code 0 when nothing is left of it; the host's services are looked at apart."""
    machine: Literal["", "reboot", "power"] = ""
    version: str = ""
    """What the site calls itself once it has happened: another version, or `before`."""


def make(kind: str, parameters: Parameters, number: int) -> Fault:
    """The fault of that kind; `number` tells it from others of the same drill."""
    if kind in ("reboot", "power"):
        return Fault(machine="reboot" if kind == "reboot" else "power")
    return KINDS[kind](number, **parameters)


def _start(unit: str) -> str:
    return f"""
systemctl reset-failed {unit} 2>/dev/null || true
systemctl is-active --quiet {unit} || systemctl start {unit}
"""


def _victims(number: int, pids: str) -> str:
    """Note the processes with their start times; there must be some."""
    return f"""
victims=$({pids})
test -n "$victims"
for pid in $victims; do echo "$pid $(start_of "$pid")"; done > $drill/victims-{number}
"""


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
        undo=_start(unit),
        healed=f'systemctl is-active --quiet {unit} && test -n "$({pids})"',
    )


def freeze(number: int, pids: str, unit: str) -> Fault:
    """Stop processes with SIGSTOP: they are there, hold their sockets, and do nothing."""
    file = f"$drill/victims-{number}"
    each = 'while read -r pid start; do [ "$(start_of "$pid")" != "$start" ] || '
    return Fault(
        inject=_victims(number, pids) + "kill -STOP $victims\n",
        happened=f'while read -r pid start; do test "$(state_of "$pid")" = T; done < {file}',
        undo=f'test -e {file} || exit 0\n{each} kill -CONT "$pid"; done < {file}\n' + _start(unit),
        healed=f'for pid in $({pids}); do test "$(state_of "$pid")" != T; done',
    )


def stop(number: int, unit: str) -> Fault:
    """Stop a unit as an operator would."""
    return Fault(
        inject=f"systemctl stop {unit}",
        happened=f"! systemctl is-active --quiet {unit}",
        undo=_start(unit),
        healed=f"systemctl is-active --quiet {unit}",
    )


def _rule(rule: str, number: int) -> Fault:
    mark = f"-m comment --comment connect-infra-drill-{number}"
    return Fault(
        inject=f"iptables -w -I {rule.replace('-j', mark + ' -j')}",
        happened=f"iptables -w -C {_unnumbered(rule).replace('-j', mark + ' -j')}",
        undo=f"""
while iptables -w -C {_unnumbered(rule).replace("-j", mark + " -j")} 2>/dev/null; do
  iptables -w -D {_unnumbered(rule).replace("-j", mark + " -j")}
done
""",
        healed=f"! iptables-save | grep -q connect-infra-drill-{number}",
    )


def _unnumbered(rule: str) -> str:
    return rule.replace("INPUT 1", "INPUT")


def drop(number: int, port: int, interface: str = "", percent: int = 100) -> Fault:
    """Lose packets to a TCP port: all of them (a network cut) or some (a bad line)."""
    where = f"-i {interface} " if interface else ""
    some = "" if percent == 100 else f"-m statistic --mode random --probability {percent / 100:g} "
    return _rule(f"INPUT 1 {where}-p tcp --dport {port} {some}-j DROP", number)


def squeeze(number: int, interface: str, kilobits: int) -> Fault:
    """Let no more than so many kilobits a second leave through an interface (token bucket)."""
    return Fault(
        inject=f"tc qdisc add dev {interface} root tbf "
        f"rate {kilobits}kbit burst 16kb latency 400ms",
        happened=f"tc qdisc show dev {interface} | grep -q 'qdisc tbf'",
        undo=f"tc qdisc del dev {interface} root 2>/dev/null || true",
        healed=f"! tc qdisc show dev {interface} | grep -q tbf",
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
        + _start(unit),
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
        + _start(unit),
        healed=f"""
for pid in $({pids}); do
  test "$(soft_files "$pid")" != {files}
done
""",
    )


def replace_file(number: int, path: str, content: str, then: str, undone: str) -> Fault:
    """Put another content into a file and run `then`; afterwards the old file and `undone`."""
    kept = f"/var/lib/connect-infra/drill-kept-{number}"
    return Fault(
        prepare=f"cp -a --dereference {path} {kept}",
        inject=f"printf '%b' {shlex.quote(content)} > {path}\n{then}",
        happened=f"! cmp -s {path} {kept}",
        undo=f"test -e {kept} || exit 0\ncat {kept} > {path}\n{undone}\nrm -f {kept}",
        healed=f"test ! -e {kept}",
    )


def redis_full(number: int, port: int, config: str) -> Fault:
    """Give Redis half of the memory that it uses now: it refuses whatever needs more."""
    cli = f"REDISCLI_AUTH=$(sed -n 's/^requirepass //p' {config}) redis-cli -p {port}"
    used = f"{cli} INFO memory | sed -n 's/^used_memory:\\([0-9]*\\).*/\\1/p'"
    limit = f"{cli} CONFIG GET maxmemory | tail -1"
    documented = f"sed -n 's/^maxmemory //p' {config}"
    return Fault(
        inject=f"{cli} CONFIG SET maxmemory $(($({used}) / 2)) | grep -q OK",
        happened=f'test "$({used})" -ge "$({limit})"',
        undo=f'{cli} CONFIG SET maxmemory "$({documented})" | grep -q OK',
        healed=f'test "$({used})" -lt "$({limit})"',
    )


def script(
    number: int, inject: str, happened: str, undo: str = ":", healed: str = ":", prepare: str = ":"
) -> Fault:
    """What no other kind covers."""
    return Fault(prepare, inject, happened, undo, healed)


def power_cut(number: int, path: str, unit: str, megabytes: int) -> Fault:
    """Take the power from a service's data: what was not flushed to the disk is gone."""
    image = on_image(number, path, unit, megabytes)
    inject, happened = cut(number, path, unit)
    return Fault(image.prepare, inject, happened, image.undo, image.healed)


def disk_full(number: int, path: str, unit: str, megabytes: int) -> Fault:
    """Fill the disk that a service writes to, to the last byte."""
    image = on_image(number, path, unit, megabytes)
    inject, happened, emptied = fill(path)
    return Fault(image.prepare, inject, happened, emptied + image.undo, image.healed)


def _procedure(scripts: procedures.Scripts, version: str = "") -> Fault:
    return Fault(
        scripts.prepare, scripts.inject, scripts.happened, scripts.undo, scripts.healed,
        version=version,
    )  # fmt: skip


def deploy(number: int) -> Fault:
    """Deploy a release with another version."""
    return _procedure(procedures.deployment(), procedures.VERSION)


def roll_back(number: int) -> Fault:
    """Roll back from a release with another version."""
    return _procedure(procedures.rolled_back(), BEFORE)


def lost_data(number: int) -> Fault:
    """Delete PostgreSQL's data directory."""
    return _procedure(procedures.lost_data(number))


def bad_migration(number: int) -> Fault:
    """Drop a table by a migration."""
    return _procedure(procedures.bad_migration(number))


def lost_application(number: int) -> Fault:
    """Delete the current release and the configuration."""
    return _procedure(procedures.lost_application(number))


KINDS: Mapping[str, Callable[..., Fault]] = {
    "kill": kill,
    "freeze": freeze,
    "stop": stop,
    "drop": drop,
    "squeeze": squeeze,
    "burn": burn,
    "out_of_memory": out_of_memory,
    "few_files": few_files,
    "replace_file": replace_file,
    "redis_full": redis_full,
    "script": script,
    "power_cut": power_cut,
    "disk_full": disk_full,
    "deploy": deploy,
    "roll_back": roll_back,
    "lost_data": lost_data,
    "bad_migration": bad_migration,
    "lost_application": lost_application,
}
