"""Recorded output of ufw and of the kernel's tables, read as facts."""

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import ufw
from connect_infra.facts.base import Output

DOCUMENTED = (
    *("allow 22/tcp", "allow 80/tcp", "allow 443/tcp"),
    *("deny 5432/tcp", "deny 6379/tcp", "deny 6380/tcp", "deny 6432/tcp"),
)


def with_rule(recorded, rule):
    text = recorded("ufw")["v4"].stdout.replace("COMMIT", f"{rule}\nCOMMIT")
    return ufw.parse(recorded("ufw", v4=text)).loaded["v4"]


def test_the_rules_of_both_families(recorded):
    facts = ufw.parse(recorded("ufw"))
    assert facts.active
    assert facts.enabled_at_boot
    assert facts.defaults == {"incoming": "deny", "outgoing": "allow", "routed": "deny"}
    assert facts.family(v6=False) == facts.family(v6=True) == DOCUMENTED


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_the_loaded_rules(recorded, family):
    loaded = ufw.parse(recorded("ufw")).loaded[family]
    assert loaded.input_policy == "DROP"
    assert loaded.reaches_user_rules
    assert loaded.strangers == ()
    assert len(loaded.user_rules()) == len(DOCUMENTED)
    assert loaded.user_rules()[0] == "-p tcp -m tcp --dport 22 -j ACCEPT"


@pytest.mark.parametrize(
    "rule",
    [
        "-A INPUT -p tcp -m tcp --dport 9999 -j ACCEPT",
        "-A INPUT -j ACCEPT",
        "-A ufw-before-input -p tcp -m tcp --dport 5432 -j ACCEPT",
        "-A ufw-before-input -s 192.0.2.0/24 -j ACCEPT",
    ],
)
def test_a_rule_past_ufw_is_a_stranger(recorded, rule):
    assert with_rule(recorded, rule).strangers == (rule,)


def test_a_ban_is_no_stranger(recorded):
    rule = "-A INPUT -p tcp -m multiport --dports 80,443 -j f2b-ReqLimit"
    assert with_rule(recorded, rule).strangers == ()


def test_a_rule_for_some_addresses_says_so(recorded):
    text = recorded("ufw")["status"].stdout
    line = "8080/tcp                   ALLOW IN    192.0.2.0/24              \n"
    facts = ufw.parse(recorded("ufw", status=text + line))
    assert facts.family(v6=False)[-1] == "allow 8080/tcp from 192.0.2.0/24"


def test_a_firewall_that_is_off_has_no_rules(recorded):
    facts = ufw.parse(recorded("ufw", status="Status: inactive\n"))
    assert not facts.active
    assert facts.rules == ()


def test_a_host_without_ufw_is_an_error(recorded):
    missing = Output(127, "", "/bin/sh: 1: ufw: not found")
    with pytest.raises(ObservationError, match="ufw: not found"):
        ufw.parse({**recorded("ufw"), "status": missing})
