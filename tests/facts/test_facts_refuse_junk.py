"""Whatever a host prints, a parser returns typed facts or raises ObservationError: no crash."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connect_infra.errors import ObservationError
from connect_infra.facts import (
    colours,
    connect_service,
    cron,
    docker,
    env,
    fail2ban,
    haproxy,
    host,
    layout,
    logrotate,
    nginx,
    operations,
    patroni,
    pgbackrest,
    pgbouncer,
    pm2,
    postgresql,
    prometheus,
    redis,
    sshd,
    ufw,
    units,
)
from connect_infra.facts.base import Output

# What specs ask of the facts: parsers that read late are made to read.
LOOKS = {
    colours: lambda facts: [
        *(facts.health("app1"), facts.health("app2"), facts.ping, facts.stranger),
        *(facts.redis, facts.redis_config, facts.clients),
    ],
    connect_service: lambda facts: [facts.directive("Type"), facts.commands("ExecStart")],
    cron: lambda facts: facts.having("pgbackrest"),
    docker: lambda facts: [
        *(facts.version, facts.compose_version, facts.hashes, facts.compose_file),
        *(facts.container("haproxy").published, facts.image("connect:blue")),
        *(facts.saved_images, facts.secrets_file),
    ],
    env: lambda facts: [one.verdict for one in facts.variables.values()],
    fail2ban: lambda facts: [facts.jail("sshd").reads, facts.jail("sshd").ports],
    haproxy: lambda facts: [facts.serving, facts.intervals, facts.stale],
    host: lambda facts: facts.listeners(22),
    layout: lambda facts: [facts.shown("current"), facts.below("releases")],
    logrotate: lambda facts: [facts.kept, facts.problems],
    nginx: lambda facts: [facts.unloaded_files, facts.server("443")],
    operations: lambda facts: [facts.usage, facts.backups, facts.unfinished],
    patroni: lambda facts: [
        *(facts.cluster("patroni1").role("patroni1"), facts.server("patroni2"), facts.door),
        *(facts.plan("idx_funding_programs_agency").indexes(), facts.ready),
        *(facts.keys, facts.leader),
    ],
    pgbackrest: lambda facts: [facts.takes("repo1-path"), facts.option("global", "repo1-path")],
    pgbouncer: lambda facts: facts.database_line("connect"),
    pm2: lambda facts: [pm2.shown(value) for one in facts.connect for value in one.settings],
    postgresql: lambda facts: [facts.on_disk("work_mem"), facts.overridden("work_mem")],
    prometheus: lambda facts: [facts.job("connect-app"), facts.alert("DatabaseDown")],
    redis: lambda facts: [
        *(facts.stranger("queue"), facts.password("cache"), facts.password("queue")),
        *(facts.cache, facts.queue),
    ],
    sshd: lambda facts: [facts.values("Port"), facts.changed_since_loaded],
    ufw: lambda facts: [facts.family(True), [one.strangers for one in facts.loaded.values()]],
    units: lambda facts: facts["cron.service"],
}
BREAKERS = [
    *("\n", "\n\n", "\t", " ", "=", "@@", "|", "[", "]", "{}", "null", '"', "'", ",", "\x00"),
    *("-1", "²", "9" * 30, "1e999", "NaN", "Id=", "[current=", "%(x)s", "@@info\n", "NOAUTH"),
]
every_module = pytest.mark.parametrize("module", LOOKS, ids=lambda module: module.NAME)


def look(module, outputs):
    with contextlib.suppress(ObservationError):
        LOOKS[module](module.parse(outputs))


@every_module
def test_recorded_output_is_not_refused(module, recorded):
    LOOKS[module](module.parse(recorded(module.NAME)))


@every_module
@settings(deadline=None)  # how long it takes is the machine's business
@given(data=st.data())
def test_recorded_output_with_damage(module, recorded, data):
    outputs = recorded(module.NAME)
    label = data.draw(st.sampled_from(sorted(outputs)))
    text = outputs[label].stdout
    cut = data.draw(st.integers(0, len(text)))
    lost = data.draw(st.integers(0, 40))
    junk = data.draw(st.text(max_size=40) | st.sampled_from(BREAKERS))
    outputs[label] = Output(0, text[:cut] + junk + text[cut + lost :], "")
    look(module, outputs)


@every_module
@given(junk=st.text(), code=st.integers(0, 255))
def test_nothing_but_junk(module, recorded, junk, code):
    look(module, {label: Output(code, junk, junk) for label in recorded(module.NAME)})


@every_module
def test_no_output_at_all_is_an_error(module, recorded):
    nothing = {label: Output(0, "", "") for label in recorded(module.NAME)}
    with pytest.raises(ObservationError):
        LOOKS[module](module.parse(nothing))
