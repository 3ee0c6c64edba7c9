"""ufw: its rules as files, loaded in one go, and proven by a fresh login afterwards.

The documented commands type the rules one by one, with the firewall off from `reset` to `enable`.
Files say the same, can be compared with what is there, and go back as they were.
"""

from collections.abc import Mapping

from connect_infra.document import Expectation
from provisioning.component import Activation, Component, Context, WayIn
from provisioning.render import render
from provisioning.resources import Ensure, File, Package, Unit

UNIT = "ufw.service"
TARGETS = {"allow": "ACCEPT", "deny": "DROP"}
FAMILIES = {"": "0.0.0.0/0", "6": "::/0"}
"""ufw's suffix of a family, and any address of it."""

CHECK = """
for family in "" 6; do
  "ip${family}tables-restore" --test --noflush < "$STAGE/etc/ufw/user$family.rules"
done
"""

SHIPPED = "before.rules before6.rules after.rules after6.rules"
"""The chains around the user's, which `ufw reset` sets back to what the package brings."""

AS_SHIPPED = f"""
for name in {SHIPPED}; do
  cmp "/usr/share/ufw/iptables/$name" "/etc/ufw/$name" 2>&1
done
"""

SHIP = f"""
for name in {SHIPPED}; do install -m 640 "/usr/share/ufw/iptables/$name" "/etc/ufw/$name"; done
systemctl restart {UNIT}
"""

KNOWN = "^-P INPUT |^-A INPUT -j ufw|^-A INPUT .*-j f2b-"
"""What may stand in the INPUT chain: its policy, ufw's own jumps, fail2ban's bans."""

LOAD = f"""
for tables in iptables ip6tables; do
  "$tables" -S INPUT | grep -vE '{KNOWN}' | sed 's/^-A/-D/' | xargs -r -L 1 "$tables"
done
systemctl restart {UNIT}
"""

KEEP = """
for tables in iptables ip6tables; do
  {
    printf '%s ACCEPT [0:0]\\n' '*filter' ':INPUT' ':FORWARD' ':OUTPUT' | sed '1s/ .*//'
    echo COMMIT
    "$tables-save" -t filter
  } > "$KEPT/$tables"
done
"""
"""The kernel's tables as they are, after an empty one: a host may have had no rules at all."""

BACK = """
for tables in iptables ip6tables; do "$tables-restore" < "$KEPT/$tables"; done
"""


def component(ctx: Context) -> Component:
    """The documented policies and rules, for both families."""
    documented = [
        expectation
        for expectation in ctx.expectations.values()
        if expectation.control.component == "ufw"
    ]
    rules = [rule for expectation in documented if (rule := _rule(expectation))]
    policies = {
        words[2]: TARGETS[words[1]]
        for expectation in documented
        if (words := expectation.expected.split())[0] == "default"
    }
    return with_rules(policies, rules)


def with_rules(policies: Mapping[str, str], rules: list[tuple[str, str, str]]) -> Component:
    """Policies by direction (ACCEPT, DROP), and rules: action, port, protocol."""
    loaded = "\n".join(
        f"-p {protocol} -m {protocol} --dport {port} -j {TARGETS[action]}"
        for action, port, protocol in rules
    )
    check = render(
        "native/ufw_loaded.sh.j2", rules=loaded, policy=policies["incoming"], known=KNOWN
    )
    return Component(
        "ufw",
        (
            Package("ufw"),
            File("/etc/default/ufw", render("native/ufw_default.j2", policies=policies)),
            File("/etc/ufw/ufw.conf", b"ENABLED=yes\nLOGLEVEL=low\n"),
            *(_rules_file(family, rules) for family in FAMILIES),
            Unit(UNIT),
            Ensure("ufw's own chains are as shipped", AS_SHIPPED, SHIP),
            Ensure("the documented rules are loaded", check.decode(), LOAD),
        ),
        validate=CHECK,
        activation=Activation(UNIT),
        after=("sshd",),
        way_in=WayIn(keep=KEEP, back=BACK),
    )


def _rule(expectation: Expectation) -> tuple[str, str, str] | None:
    """Action, port and protocol of `allow 22/tcp`; None for the other commands."""
    action, _, to = expectation.expected.partition(" ")
    port, slash, protocol = to.partition("/")
    return (action, port, protocol) if slash and action in TARGETS else None


def _rules_file(family: str, rules: list[tuple[str, str, str]]) -> File:
    content = render(
        "native/ufw_user.rules.j2",
        ufw=f"ufw{family}",
        any=FAMILIES[family],
        rules=rules,
        targets=TARGETS,
    )
    return File(f"/etc/ufw/user{family}.rules", content, 0o640)
