"""Architecture v2.0, 6.1: fail2ban's jails as the running server has them."""

import pytest

DEFAULTS = ("bantime", "findtime", "maxretry")
READS = {"sshd": "systemd"}
"""What a jail reads; the others read nginx' log files (see the erratum on the backend)."""


def of(*names):
    def chosen(control):
        jail, _, option = control.key.partition(".")
        return jail != "DEFAULT" and option in names

    return chosen


def jail_of(control, facts):
    return facts.fail2ban.jail(control.key.partition(".")[0])


def option_of(control):
    return control.key.partition(".")[2]


def action_as_documented(name, action):
    kind = name.removesuffix(f"-{action['name']}")
    return f'{kind}[name={action["name"]}, port="{action["port"]}", protocol={action["protocol"]}]'


@pytest.mark.controls(component="fail2ban", where=of("enabled"))
def test_the_jail_runs(control, facts, found):
    name = control.key.partition(".")[0]
    assert name in found(tuple(facts.fail2ban.jails)), "see /var/log/fail2ban.log"


@pytest.mark.controls(component="fail2ban", where=of("enabled"))
def test_the_server_runs_and_starts_at_boot(control, facts, found):
    unit = facts.units["fail2ban.service"]
    found(unit.state)
    assert unit.runs
    assert unit.starts_at_boot


@pytest.mark.controls(component="fail2ban", where=of("enabled"))
def test_nobody_is_exempt(control, facts, found):
    assert found(jail_of(control, facts).ignoreip) == ()


@pytest.mark.controls(component="fail2ban", where=of(*DEFAULTS))
def test_the_jail_runs_with(control, facts, found):
    value = getattr(jail_of(control, facts), option_of(control))
    assert control.parse(str(found(value))) == control.value


@pytest.mark.controls(component="fail2ban", where=of("enabled", *DEFAULTS))
def test_the_files_would_bring_the_same_value_again(control, facts, found):
    text = jail_of(control, facts).configured[option_of(control)]
    assert control.parse(found(text)) == control.value, "jail.local has another value"


@pytest.mark.controls(
    component="fail2ban", where=["DEFAULT.bantime", "DEFAULT.findtime", "DEFAULT.maxretry"]
)
def test_the_default_is(control, facts, found):
    assert control.parse(found(facts.fail2ban.defaults[option_of(control)])) == control.value


@pytest.mark.controls(
    component="fail2ban", where=["DEFAULT.bantime", "DEFAULT.findtime", "DEFAULT.maxretry"]
)
def test_jails_without_a_value_of_their_own_run_with_the_default(
    control, facts, expectations, found
):
    option = option_of(control)
    running = {
        name: getattr(jail, option)
        for name, jail in facts.fail2ban.jails.items()
        if f"fail2ban.{name}.{option}" not in expectations
    }
    assert facts.fail2ban.jails, "no jail runs"
    assert {control.parse(str(value)) for value in found(running).values()} <= {control.value}


@pytest.mark.controls("fail2ban.DEFAULT.backend")
def test_the_default_backend_is(control, facts, found):
    assert found(facts.fail2ban.defaults["backend"]) == control.value
    assert found(facts.fail2ban.jail("sshd").reads) == control.value, "a jail without its own"


@pytest.mark.controls(component="fail2ban", where=of("filter"))
def test_the_jail_has_the_filter(control, facts, found):
    jail = jail_of(control, facts)
    assert found(jail.configured["filter"]) == control.value
    assert jail.failregex, "the filter matches nothing"


@pytest.mark.controls(component="fail2ban", where=of("filter"))
def test_the_jail_looks_for_what_the_filter_says(control, facts, found):
    jail = jail_of(control, facts)
    other = set(jail.failregex) ^ set(jail.wanted.failregex)
    assert found(sorted(other)) == [], "the running jail and the filter differ"


@pytest.mark.controls(component="fail2ban", where=of("port"))
def test_a_ban_closes(control, facts, found):
    jail = jail_of(control, facts)
    written = {action.get("port", "") for action in jail.wanted.actions.values()}
    assert found(jail.ports) == {control.value}
    assert found(written) == {control.value}, "the files have another port"


@pytest.mark.controls(component="fail2ban", where=of("action"))
def test_a_ban_is_made_by(control, facts, found):
    jail = jail_of(control, facts)
    for actions in (jail.actions, jail.wanted.actions):
        made = [action_as_documented(*each) for each in actions.items()]
        assert found(made) == [control.value]


@pytest.mark.controls(component="fail2ban", where=of("logpath"))
def test_the_jail_reads(control, facts, found):
    name = control.key.partition(".")[0]
    jail = facts.fail2ban.jail(name)
    assert control.parse(found(jail.configured["logpath"])) == control.value
    assert found(jail.reads) == READS.get(name, "files")
    if jail.journal is None:
        assert found(jail.logpath) == (control.value,), "the running jail reads another log"
    else:
        assert "_COMM=sshd" in found(" ".join(jail.journal))
