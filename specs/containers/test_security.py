"""Deployment strategy v1.0, Security measures: who may log in, what comes in, the secrets."""

import re

import pytest

DAY = 86_400
LAST = "-A DOCKER-USER -j DROP"
OWN = re.compile(r"(-i (br-connect|docker0)|-m conntrack --ctstate RELATED,ESTABLISHED) -j RETURN")
"""What containers themselves send, and answers."""


def ports_of(control):
    return re.findall(r"\d+", control.expected)


@pytest.mark.controls("bluegreen.security.ssh")
def test_sshd_takes_keys_only(control, facts, found):
    options = ("PasswordAuthentication", "KbdInteractiveAuthentication", "PubkeyAuthentication")
    shown = [f"{name} {value}" for name in options for value in facts.sshd.values(name)]
    assert found(shown) == [f"{options[0]} no", f"{options[1]} no", f"{options[2]} yes"]
    assert not facts.sshd.changed_since_loaded, "sshd has not read its file since it changed"


@pytest.mark.controls("bluegreen.security.ufw")
@pytest.mark.parametrize("v6", [False, True], ids=["IPv4", "IPv6"])
def test_ufw_lets_the_documented_ports_in_and_no_other(control, facts, v6, found):
    assert facts.ufw.active, "the firewall is not active"
    assert facts.ufw.enabled_at_boot
    expected = tuple(f"allow {port}/tcp" for port in ports_of(control))
    assert found(facts.ufw.family(v6)) == expected


@pytest.mark.controls("bluegreen.security.ufw")
@pytest.mark.parametrize("family", ["v4", "v6"], ids=["IPv4", "IPv6"])
def test_the_kernel_drops_everything_else(control, facts, family, found):
    loaded = facts.ufw.loaded[family]
    assert found(loaded.policies.get("INPUT")) == "DROP"
    assert loaded.strangers == ()
    assert loaded.reaches_user_rules


@pytest.mark.controls("bluegreen.security.ufw")
def test_published_ports_do_not_pass_by_the_firewall(control, facts, found):
    rules = [rule for rule in facts.ufw.loaded["v4"].rules if rule.startswith("-A DOCKER-USER")]
    assert found(rules), "DOCKER-USER is empty: whatever Docker publishes is open to all"
    assert LAST in rules
    before = [rule.removeprefix("-A DOCKER-USER ") for rule in rules[: rules.index(LAST)]]
    opened = [rule for rule in before if not OWN.fullmatch(rule)]
    assert opened == [
        f"-p tcp -m conntrack --ctorigdstport {port} -j RETURN"
        for port in ports_of(control)
        if port != "22"
    ]


@pytest.mark.controls("bluegreen.security.ufw")
def test_clients_meet_the_documented_ports_only(control, outside, found):
    found([f"{port} {answer}" for port, answer in outside.items()])
    answered = {str(port) for port, answer in outside.items() if answer == "answered"}
    assert answered == set(ports_of(control))


@pytest.mark.controls("bluegreen.security.secrets")
def test_the_secrets_are_roots_alone_and_ignored_by_git(control, facts, found):
    file = facts.docker.secrets_file
    found(f"{file.owner} {file.mode:o}, ignored: {' '.join(sorted(file.ignored))}")
    assert (file.owner, file.mode) == ("root", 0o600)
    assert ".env.production.local" in file.ignored


@pytest.mark.controls("bluegreen.security.secrets")
def test_the_secrets_have_been_changed_within_the_documented_days(control, facts, found):
    days = int(re.search(r"every (\d+) days", control.expected)[1])
    assert found(facts.docker.secrets_file.age // DAY) <= days


@pytest.mark.controls("bluegreen.security.secrets")
def test_the_application_takes_its_secrets_from_the_environment(control, facts, found):
    for name in ("connect_app1", "connect_app2"):
        variables = dict(
            one.split("=", 1) for one in facts.docker.container(name).settings.environment
        )
        assert found(variables["NEXTAUTH_SECRET"]) == "«secret NEXTAUTH_SECRET»"
        assert variables["REDIS_PASSWORD"] == "«secret REDIS_PASSWORD»"
        assert "«secret POSTGRES_PASSWORD»" in variables["DATABASE_URL"]
