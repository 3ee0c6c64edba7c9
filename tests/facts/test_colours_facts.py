"""Recorded answers of both colours and of their Redis, read as facts."""

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import colours


@pytest.fixture
def facts(recorded):
    return colours.parse(recorded("colours"))


@pytest.mark.parametrize("app", colours.PORTS)
def test_a_colour_s_own_words(facts, app):
    health = facts.health(app)
    assert (health.status, health.version) == ("healthy", "1.0.0")
    assert health.checks == {"database": "ok", "cache": "ok", "queue": "ok"}


def test_redis_knows_its_clients_and_no_stranger(facts):
    assert facts.ping == "PONG"
    assert facts.stranger.startswith("NOAUTH")
    assert facts.redis["redis_version"] == "7.0.15"
    assert (facts.redis_config["appendonly"], facts.redis_config["dir"]) == ("no", "/data")
    assert len(facts.clients) > 4


def test_a_colour_that_answers_something_else_is_an_error(recorded):
    broken = colours.parse(recorded("colours", app1="<html>503</html>"))
    with pytest.raises(ObservationError, match="localhost:3000"):
        broken.health("app1")
    assert broken.health("app2").status == "healthy"


def test_what_is_not_redis_is_an_error(recorded):
    broken = colours.parse(recorded("colours", redis="hello\n", config="hello\n"))
    with pytest.raises(ObservationError, match="redis_version"):
        _ = broken.redis
    with pytest.raises(ObservationError, match="appendonly"):
        _ = broken.redis_config
