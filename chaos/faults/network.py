"""Faults of the network: packets that are lost, lines that are narrow."""

from chaos.faults.base import Fault


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
