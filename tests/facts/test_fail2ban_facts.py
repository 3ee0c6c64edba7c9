"""Recorded answers of fail2ban's server, read as facts."""

import json

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import fail2ban
from connect_infra.facts.base import Output


def test_the_running_jails(recorded):
    facts = fail2ban.parse(recorded("fail2ban"))
    assert set(facts.jails) == {"sshd", "nginx-req-limit", "nginx-noscript", "nginx-badbots"}
    assert facts.defaults == {
        "bantime": "3600",
        "findtime": "600",
        "maxretry": "3",
        "backend": "systemd",
    }
    limit = facts.jail("nginx-req-limit")
    assert (limit.bantime, limit.findtime, limit.maxretry) == (7200, 600, 10)
    assert limit.actions["iptables-multiport-ReqLimit"]["name"] == "ReqLimit"
    assert limit.ports == {"http,https"}


def test_what_a_jail_reads(recorded):
    facts = fail2ban.parse(recorded("fail2ban"))
    assert (facts.jail("sshd").reads, facts.jail("sshd").logpath) == ("systemd", ())
    badbots = facts.jail("nginx-badbots")
    assert (badbots.reads, badbots.logpath) == ("files", ("/var/log/nginx/access.log",))


def test_a_jail_that_does_not_run_is_an_error_that_names_it(recorded):
    answer = json.loads(recorded("fail2ban")["server"].stdout)
    del answer["jails"]["nginx-badbots"]
    facts = fail2ban.parse(recorded("fail2ban", server=json.dumps(answer)))
    with pytest.raises(ObservationError, match="a running jail nginx-badbots"):
        facts.jail("nginx-badbots")


def test_a_server_that_is_down_is_an_error(recorded):
    down = Output(1, "", "FileNotFoundError: [Errno 2] No such file or directory")
    with pytest.raises(ObservationError, match="No such file or directory"):
        fail2ban.parse({**recorded("fail2ban"), "server": down})
