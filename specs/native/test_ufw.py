"""Architecture v2.0, 6.1: the firewall, as ufw says, as the kernel has it, and from outside."""

import errno
import socket

import pytest

TARGETS = {"allow": "ACCEPT", "deny": "DROP"}
SECONDS = 1.5
"""How long a dropped packet is waited for; an answer takes a few milliseconds."""


def is_rule(control):
    return control.documented.startswith(("allow ", "deny ")) and "/" in control.documented


def documented_rules(expectations):
    return tuple(
        each.expected
        for each in expectations.values()
        if each.control.component == "ufw" and is_rule(each.control)
    )


def as_loaded(rule):
    action, _, to = rule.partition(" ")
    port, _, protocol = to.partition("/")
    return f"-p {protocol} -m {protocol} --dport {port} -j {TARGETS[action]}"


def port_of(control):
    return control.expected.split(" ")[1].split("/")[0]


@pytest.mark.controls(component="ufw", where=is_rule)
@pytest.mark.parametrize("v6", [False, True], ids=["IPv4", "IPv6"])
def test_ufw_has_the_rule(control, facts, v6, found):
    assert facts.ufw.active, "the firewall is not active"
    port = port_of(control)
    own = [rule for rule in facts.ufw.family(v6) if port in rule.split(" ")[1].split("/")]
    assert found(own) == [control.expected]


@pytest.mark.controls(component="ufw", where=is_rule)
@pytest.mark.parametrize("family", ["v4", "v6"], ids=["IPv4", "IPv6"])
def test_the_kernel_has_the_rule(control, facts, family, found):
    loaded = facts.ufw.loaded[family]
    own = [rule for rule in loaded.user_rules() if f"--dport {port_of(control)} " in rule]
    assert found(own) == [as_loaded(control.expected)]
    assert loaded.reaches_user_rules, "no packet comes to ufw's rules"


@pytest.mark.controls("ufw.default-deny-incoming", "ufw.default-allow-outgoing")
def test_ufw_has_the_policy(control, facts, found):
    _, action, direction = control.expected.split()
    assert facts.ufw.active, "the firewall is not active"
    assert found(facts.ufw.defaults.get(direction)) == action


@pytest.mark.controls("ufw.default-deny-incoming", "ufw.default-allow-outgoing")
@pytest.mark.parametrize("family", ["v4", "v6"], ids=["IPv4", "IPv6"])
def test_the_kernel_has_the_policy(control, facts, family, found):
    chain = "INPUT" if control.expected.endswith("incoming") else "OUTPUT"
    policy = facts.ufw.loaded[family].policies.get(chain)
    assert found(policy) == TARGETS[control.expected.split()[1]]


@pytest.mark.controls("ufw.default-deny-incoming")
@pytest.mark.parametrize("family", ["v4", "v6"], ids=["IPv4", "IPv6"])
def test_nobody_lets_packets_past_ufw(control, facts, family, found):
    assert found(facts.ufw.loaded[family].strangers) == ()


@pytest.mark.controls("ufw.default-deny-incoming")
def test_nobody_will_let_packets_past_ufw_after_the_next_start(control, facts, found):
    assert found(facts.ufw.strangers_on_disk) == ()


@pytest.mark.controls("ufw.reset")
def test_there_are_the_documented_rules_and_no_other(control, facts, expectations, found):
    documented = documented_rules(expectations)
    assert found(facts.ufw.family(v6=False)) == documented
    assert facts.ufw.family(v6=True) == documented


@pytest.mark.controls("ufw.reset")
@pytest.mark.parametrize("family", ["v4", "v6"], ids=["IPv4", "IPv6"])
def test_the_kernel_has_the_documented_rules_and_no_other(
    control, facts, expectations, family, found
):
    documented = tuple(as_loaded(rule) for rule in documented_rules(expectations))
    assert found(facts.ufw.loaded[family].user_rules()) == documented


@pytest.mark.controls("ufw.enable")
def test_the_firewall_is_on_and_comes_on_at_boot(control, facts, found):
    unit = facts.units["ufw.service"]
    found(f"active={facts.ufw.active}, ENABLED={facts.ufw.enabled_at_boot}, unit {unit.state}")
    assert facts.ufw.active
    assert facts.ufw.enabled_at_boot
    assert unit.starts_at_boot


@pytest.mark.intrusive
@pytest.mark.controls(component="ufw", where=is_rule)
def test_a_client_meets_the_rule(control, target, found):
    if target.way != "ssh":
        pytest.skip(f"the way in is {target.way}: nobody comes over the network")
    with socket.socket() as client:
        client.settimeout(SECONDS)
        code = client.connect_ex((target.host, int(port_of(control))))
    dropped = found(errno.errorcode.get(code, "answered")) in ("EAGAIN", "ETIMEDOUT")
    assert dropped is (control.expected.split()[0] == "deny")
