"""Recorded answers of HAProxy's runtime socket, and the connections of its checks, as facts."""

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import haproxy


@pytest.fixture
def facts(recorded):
    return haproxy.parse(recorded("haproxy"))


def test_both_servers(facts):
    assert set(facts.servers) == {"app1", "app2"}
    app1, app2 = facts.servers["app1"], facts.servers["app2"]
    assert (app1.state, app1.check, app1.backup, app1.drained) == ("UP", "L7OK", False, False)
    assert (app2.state, app2.check, app2.backup, app2.drained) == ("UP", "L7OK", True, False)
    assert facts.serving == "app1"


def test_a_drained_primary_leaves_new_requests_to_the_backup(recorded):
    text = recorded("haproxy")["state"].stdout.replace("10.89.0.7 2 0 ", "10.89.0.7 2 8 ")
    assert haproxy.parse(recorded("haproxy", state=text)).serving == "app2"


def test_a_primary_that_is_down_too(recorded):
    text = recorded("haproxy")["stat"].stdout
    lines = [line.replace(",UP,", ",DOWN,") if line.startswith("connect,app1,") else line
             for line in text.splitlines()]  # fmt: skip
    assert haproxy.parse(recorded("haproxy", stat="\n".join(lines))).serving == "app2"


def test_the_checks_intervals(facts):
    for name in ("app1", "app2"):
        (interval,) = facts.intervals[name]
        assert abs(interval - 2) < 0.1


def test_a_file_that_changed_since_it_was_read_is_stale(facts, recorded):
    assert not facts.stale
    changed, now = recorded("haproxy")["changed"].stdout.split()
    later = haproxy.parse(recorded("haproxy", changed=f"{int(now) - 3}\n{now}\n"))
    assert int(changed) < int(now) - 3
    assert later.stale


def test_a_socket_that_does_not_answer_is_an_error(recorded):
    with pytest.raises(ObservationError, match="Uptime_sec"):
        haproxy.parse(recorded("haproxy", info="Unknown command\n"))
    with pytest.raises(ObservationError, match="servers of the backend connect"):
        haproxy.parse(recorded("haproxy", stat="# pxname,svname\n"))
