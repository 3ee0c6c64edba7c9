"""Recorded output of redis-cli, read as facts."""

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import redis
from connect_infra.facts.base import Output


def test_both_servers(recorded):
    facts = redis.parse(recorded("redis"))
    assert facts.cache.config["maxmemory-policy"] == "allkeys-lru"
    assert facts.queue.config["appendfsync"] == "everysec"
    assert facts.cache.config["save"] == ""
    assert facts.queue.info["aof_enabled"] == "1"
    assert facts.cache.version.startswith("7.")


def test_the_targets_own_password_is_a_reference(recorded):
    facts = redis.parse(recorded("redis"))
    assert facts.password("cache") == "«secret REDIS_CACHE_PASSWORD»"
    assert facts.queue.file["requirepass"] == "«secret REDIS_QUEUE_PASSWORD»"


def test_another_password_is_never_shown(recorded):
    text = recorded("redis")["cache.server"].stdout
    other = text.replace("«secret REDIS_CACHE_PASSWORD»", "s3cret")
    facts = redis.parse(recorded("redis", cache__server=other))
    assert facts.password("cache") == redis.ANOTHER
    assert "s3cret" not in str(facts.cache)


def test_a_server_that_refuses_the_password_has_another(recorded):
    refused = "NOAUTH Authentication required.\n" * 4
    facts = redis.parse(recorded("redis", cache__server=refused))
    assert facts.password("cache") == redis.ANOTHER
    with pytest.raises(ObservationError, match="NOAUTH"):
        _ = facts.cache


def test_one_servers_failure_leaves_the_other(recorded):
    down = Output(1, "", "Could not connect to Redis at 127.0.0.1:6379")
    facts = redis.parse({**recorded("redis"), "cache.server": down})
    assert facts.queue.config["port"] == "6380"
    with pytest.raises(ObservationError, match="Could not connect"):
        _ = facts.cache


def test_a_stranger_is_refused(recorded):
    assert redis.parse(recorded("redis")).stranger("queue").startswith("NOAUTH")


def test_the_last_line_of_a_directive_wins():
    text = '# save 1\nSAVE 900 1\nsave ""\nbind 127.0.0.1 ::1\n'
    assert redis.read_file(text, "redis.conf") == {"save": "", "bind": "127.0.0.1 ::1"}
