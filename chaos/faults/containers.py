"""Faults of containers on a Docker host: killed, frozen, stopped, cut off from each other.

A container is named, or is `leader` or `replica`: whoever that is when the fault is made.
"""

from chaos.faults.base import Fault
from chaos.platforms import ADDRESS

NAMED = f"""
address() {{ docker inspect --format '{ADDRESS}' "$1"; }}
pid_of() {{ docker inspect --format '{{{{.State.Pid}}}}' "$1"; }}
running() {{ test "$(docker inspect --format '{{{{.State.Running}}}}' "$1" 2>/dev/null)" = true; }}
healthy() {{ test "$(docker inspect --format '{{{{.State.Health.Status}}}}' "$1")" = healthy; }}
node() {{
  curl -fsS --max-time 3 "http://$(address "$1"):8008/cluster" |
    jq -r '.members[] | select(if $wanted == "leader" then .role == "leader"
      else .role != "leader" end) | .name' --arg wanted "$2" | grep .
}}
resolved() {{
  case "$1" in
    leader | replica) node patroni1 "$1" || node patroni2 "$1" ;;
    *) echo "$1" ;;
  esac
}}
"""
"""Functions of the scripts: a container's address, first process, state; who is meant."""

MARK = "connect-infra-drill"


def _noted(number: int, name: str) -> str:
    """Find out who is meant, and note it for the other scripts."""
    return f'{NAMED}name=$(resolved {name})\ntest -n "$name"\necho "$name" > $drill/name-{number}\n'


def _known(number: int) -> str:
    """What was noted; a script whose fault was never made has nothing to do."""
    return f"{NAMED}test -e $drill/name-{number} || exit 0\nname=$(cat $drill/name-{number})\n"


def _required(number: int) -> str:
    return f"{NAMED}name=$(cat $drill/name-{number})\n"


def container_killed(number: int, name: str) -> Fault:
    """End a container's first process, and so all of it, with SIGKILL.

    Not by `docker kill`: that counts as stopped by a person, whom no restart policy contradicts.
    """
    return Fault(
        inject=_noted(number, name)
        + f"""
pid=$(pid_of "$name")
echo "$pid $(start_of "$pid")" > $drill/victim-{number}
kill -KILL "$pid"
""",
        happened=f"""
read -r pid start < $drill/victim-{number}
case "$(state_of "$pid")" in ''|Z) ;; *) test "$(start_of "$pid")" != "$start" ;; esac
""",
        undo=_known(number) + 'running "$name" || docker start "$name"\n',
        healed=_known(number) + 'healthy "$name"\n',
    )


def container_frozen(number: int, name: str) -> Fault:
    """Stop all processes of a container: it is there, holds its connections, and does nothing."""
    paused = 'test "$(docker inspect --format \'{{.State.Paused}}\' "$name")" = true'
    return Fault(
        inject=_noted(number, name) + 'docker pause "$name"\n',
        happened=_required(number) + paused,
        undo=_known(number) + f'if {paused}; then docker unpause "$name"; fi\n',
        healed=_known(number) + f'! {paused} && healthy "$name"\n',
    )


def container_stopped(number: int, name: str) -> Fault:
    """Stop a container as an operator would; it stays down until somebody starts it."""
    return Fault(
        inject=_noted(number, name) + 'docker stop "$name"\n',
        happened=_required(number) + '! running "$name"\n',
        undo=_known(number) + 'running "$name" || docker start "$name"\n',
        healed=_known(number) + 'running "$name" && healthy "$name"\n',
    )


def container_cut_off(number: int, name: str, peers: str = "") -> Fault:
    """Lose all packets between a container and others (by name, with blanks), or everybody."""
    inside = 'nsenter --target "$(pid_of "$name")" --net iptables -w'
    mark = f"-m comment --comment {MARK}-{number} -j DROP"
    rules = (
        f"""
for peer in {peers}; do
  other=$(address "$peer")
  {inside} -I INPUT -s "$other" {mark}
  {inside} -I OUTPUT -d "$other" {mark}
done
"""
        if peers
        else f"{inside} -I INPUT ! -i lo {mark}\n{inside} -I OUTPUT ! -o lo {mark}\n"
    )
    there = f'nsenter --target "$(pid_of "$name")" --net iptables-save | grep -q {MARK}-{number}'
    return Fault(
        inject=_noted(number, name) + rules,
        happened=_required(number) + there,
        undo=_known(number)
        + f"""
running "$name" || exit 0
nsenter --target "$(pid_of "$name")" --net iptables-save | grep {MARK}-{number} |
  sed 's/^-A/-D/' | while read -r rule; do {inside} $rule; done
""",
        healed=_known(number) + f'! {there} && healthy "$name"\n',
    )


def replica_lost(number: int) -> Fault:
    """The replica's data is gone; Patroni must make it anew from the primary."""
    return Fault(
        inject=_noted(number, "replica")
        + """
image=$(docker inspect --format '{{.Config.Image}}' "$name")
docker stop "$name"
docker run --rm --user 0 --volumes-from "$name" "$image" \\
  sh -c 'rm -rf /var/lib/postgresql/patroni/*'
docker start "$name"
touch $drill/wiped
""",
        happened="test -e $drill/wiped",
        undo=_known(number) + 'running "$name" || docker start "$name"\n',
        healed=_known(number) + 'healthy "$name"\n',
    )


CONFIGURED = """
is_set() {
  curl -fsS --max-time 3 "http://$(address patroni1):8008/config" | jq -e --arg name "$1" \\
    ".[\\$name] == $2" >/dev/null
}
has_looked_since() {
  seen=$(curl -fsS --max-time 3 "http://$(address "$1"):8008/patroni" | jq .dcs_last_seen)
  test "${seen:-0}" -gt "$2"
}
patiently() {
  for turn in $(seq 60); do if "$@"; then return 0; fi; sleep 0.5; done
  return 1
}
set_to() {
  patiently docker exec patroni1 patronictl -c /etc/patroni/patroni.yml edit-config --quiet \\
    --force --set "$1=$2" connect
  now=$(date +%s)
  for each in patroni1 patroni2; do patiently has_looked_since "$each" "$now"; done
}
"""
"""Patroni's settings are in etcd; a node has taken one up once it has looked there again."""


def patroni_without(number: int, setting: str) -> Fault:
    """Run the cluster without one of its settings: synchronous_mode, failsafe_mode.

    It is no fault by itself, but makes another one of the same drill matter: name it first.
    """
    off = f"{NAMED}{CONFIGURED}is_set {setting} false\n"
    return Fault(
        prepare=f"{NAMED}{CONFIGURED}set_to {setting} false\n",
        inject=off,
        happened=off,
        undo=f"{NAMED}{CONFIGURED}set_to {setting} true\n",
        healed=f"{NAMED}{CONFIGURED}is_set {setting} true\n",
    )


def haproxy_reloaded(number: int) -> Fault:
    """HAProxy reads its configuration again: a new worker takes over, the old one finishes."""
    uptime = (
        "echo 'show info' | socat -t 3 - /var/run/haproxy/admin.sock | sed -n 's/^Uptime_sec: //p'"
    )
    return Fault(
        inject="docker exec haproxy kill -HUP 1\ndate +%s > $drill/reloaded\n",
        happened=f"""
test -e $drill/reloaded
test "$({uptime})" -le $(($(date +%s) - $(cat $drill/reloaded) + 1))
""",
        undo=f"{NAMED}running haproxy || docker start haproxy\n",
        healed=f"{NAMED}healthy haproxy\n",
    )
