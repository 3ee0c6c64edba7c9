"""Recorded answers of Patroni, of both servers, of the door and of etcd, read as facts."""

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import patroni


@pytest.fixture
def facts(recorded):
    return patroni.parse(recorded("patroni"))


def test_who_is_the_primary(facts):
    assert facts.leader == "patroni2"
    for node in patroni.NODES:
        assert facts.cluster(node).role("patroni2") == "leader"
        assert facts.cluster(node).role("patroni1") == "sync_standby"
        assert facts.cluster(node).role("patroni3") == ""


def test_the_servers_themselves(facts):
    primary, replica = facts.server("patroni2"), facts.server("patroni1")
    assert (primary.recovery, primary.read_only, replica.recovery) == (False, "off", True)
    assert [(one.name, one.state, one.sync) for one in primary.replicas] == [
        ("patroni1", "streaming", "sync")
    ]
    assert replica.receiver == "streaming"


def test_the_door(facts):
    assert not facts.door.recovery
    assert facts.ready.endswith("accepting connections")
    definition = facts.door.indexes["idx_funding_matches_org_score"]
    assert definition.endswith('USING btree ("organizationId", score DESC)')


@pytest.mark.parametrize("index", patroni.QUERIES)
def test_the_plans_use_the_indexes(facts, index):
    assert index in facts.plan(index).indexes()


def test_etcd_s_keys(facts):
    assert "/service/connect/leader" in facts.keys
    assert "/service/connect/members/patroni1" in facts.keys


def test_a_node_that_does_not_answer_is_an_error_of_its_own(recorded):
    broken = patroni.parse(recorded("patroni", cluster__patroni1="<html>no</html>"))
    with pytest.raises(ObservationError, match="patroni1:8008/cluster"):
        broken.cluster("patroni1")
    assert broken.cluster("patroni2").role("patroni2") == "leader"
