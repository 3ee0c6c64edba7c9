"""The firewall as ufw reports it and as the kernel has it loaded, for IPv4 and IPv6.

ufw's own report is made from its files and from a look at the kernel; somebody who inserts a rule
with iptables does not show in it. So the loaded rules are read as well, and what ufw's own chains
will be when they are loaded again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from connect_infra.facts.base import Output, junk

NAME = "ufw"

COMMANDS: Mapping[str, str] = {
    "status": "ufw status verbose",
    "v4": "iptables-save -t filter",
    "v6": "ip6tables-save -t filter",
    "boot": "grep -E '^ENABLED=' /etc/ufw/ufw.conf",
    "chains": "cat /etc/ufw/before.rules /etc/ufw/before6.rules /etc/ufw/after.rules "
    "/etc/ufw/after6.rules",
}

_DEFAULT = re.compile(r"(\w+) \((incoming|outgoing|routed)\)")
_RULE = re.compile(r"(\S+(?: \S+)*?)(?: \(v6\))?\s{2,}([A-Z]+(?: (?:IN|OUT|FWD))?)\s{2,}(\S.*?)\s*")
_POLICY = re.compile(r":(\S+) (\S+) \[\d+:\d+\]")
_OWN = re.compile(r"-A INPUT -j ufw6?-[a-z-]+")
_BAN = re.compile(r"-A INPUT -p tcp -m multiport --dports \S+ -j f2b-\S+")
_ACCEPT = re.compile(r"-A ufw6?-[a-z-]+-input (.*)-j ACCEPT")
_USUAL = re.compile(r"-i lo |.*--ctstate RELATED,ESTABLISHED |.*-p (udp|icmp|icmpv6|ipv6-icmp) .*")
"""What ufw's own chains accept before they come to the user's rules."""

_junk = junk("ufw", "look at `ufw status verbose` and `iptables-save` on the host", 80)


@dataclass(frozen=True)
class Rule:
    """One line of `ufw status`: what is done (`allow`) to which port (`22/tcp`), from where."""

    to: str
    action: str
    source: str
    v6: bool

    def __str__(self) -> str:
        """As the document writes it, with what it leaves out where that is not the default."""
        source = "" if self.source == "Anywhere" else f" from {self.source}"
        return f"{self.action} {self.to}{source}"


@dataclass(frozen=True)
class Loaded:
    """The kernel's filter table of one family."""

    policies: Mapping[str, str]
    rules: tuple[str, ...]

    @property
    def input_policy(self) -> str:
        """What happens to a packet that no rule decides on: ACCEPT or DROP."""
        return self.policies.get("INPUT", "no INPUT chain")

    @property
    def strangers(self) -> tuple[str, ...]:
        """Rules that neither ufw nor fail2ban has put there and that decide on new connections."""
        return tuple(rule for rule in self.rules if _is_strange(rule))

    def user_rules(self) -> tuple[str, ...]:
        """The rules that ufw has loaded for its user, in order, without the chain's name."""
        pattern = re.compile(r"-A ufw6?-user-input (.*)")
        return tuple(match[1] for rule in self.rules if (match := pattern.fullmatch(rule)))

    @property
    def reaches_user_rules(self) -> bool:
        """Whether packets come from INPUT to ufw's user rules at all."""
        return any(
            f"-A INPUT -j ufw{v}-before-input" in self.rules
            and f"-A ufw{v}-before-input -j ufw{v}-user-input" in self.rules
            for v in ("", "6")
        )


@dataclass(frozen=True)
class UfwFacts:
    """ufw's report, the loaded tables by family ("v4", "v6"), and whether it starts at boot.

    `strangers_on_disk`: rules in the files of ufw's own chains that decide on new connections.
    """

    active: bool
    defaults: Mapping[str, str]
    rules: tuple[Rule, ...]
    loaded: Mapping[str, Loaded]
    enabled_at_boot: bool
    strangers_on_disk: tuple[str, ...]

    def family(self, v6: bool) -> tuple[str, ...]:
        """The rules of one family as the document writes them, in order."""
        return tuple(str(rule) for rule in self.rules if rule.v6 is v6)


def parse(outputs: Mapping[str, Output]) -> UfwFacts:
    """Read ufw's and the kernel's answers; raises ObservationError on anything else."""
    status = outputs["status"].text("ufw status verbose")
    first = status.splitlines()[0]
    if first not in ("Status: active", "Status: inactive"):
        raise _junk("Status: active or inactive", first)
    defaults = {
        direction: policy
        for line in status.splitlines()
        if line.startswith("Default: ")
        for policy, direction in _DEFAULT.findall(line)
    }
    return UfwFacts(
        active=first == "Status: active",
        defaults=defaults,
        rules=_rules(status),
        loaded={family: _loaded(outputs[family].text("iptables-save")) for family in ("v4", "v6")},
        enabled_at_boot=outputs["boot"].text("/etc/ufw/ufw.conf").strip() == "ENABLED=yes",
        strangers_on_disk=tuple(
            line.strip()
            for line in outputs["chains"].text("/etc/ufw/before.rules").splitlines()
            if line.startswith("-A ") and _is_strange(line.strip())
        ),
    )


def _rules(status: str) -> tuple[Rule, ...]:
    lines = status.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("--")), None)
    if start is None:
        return ()
    return tuple(_rule(line) for line in lines[start + 1 :] if line.strip())


def _rule(line: str) -> Rule:
    match = _RULE.fullmatch(line)
    if match is None:
        raise _junk("a rule of ufw", line)
    action = match[2].removesuffix(" IN").lower()
    source = match[3].split("  ")[0]
    return Rule(match[1], action, source.removesuffix(" (v6)"), "(v6)" in line)


def _loaded(text: str) -> Loaded:
    if "*filter" not in text or "COMMIT" not in text:
        raise _junk("the filter table", text)
    matches = [match for line in text.splitlines() if (match := _POLICY.match(line))]
    policies = {str(match[1]): str(match[2]) for match in matches}
    rules = tuple(line for line in text.splitlines() if line.startswith("-A "))
    return Loaded(policies=policies, rules=rules)


def _is_strange(rule: str) -> bool:
    if rule.startswith("-A INPUT "):
        return not (_OWN.fullmatch(rule) or _BAN.fullmatch(rule))
    accept = _ACCEPT.fullmatch(rule)
    return bool(accept and "-user-input " not in rule and not _USUAL.fullmatch(accept[1]))
