"""Architecture v2.0, 3.3: the Redis cache on 6379, as it runs and as its clients meet it."""

import pytest

SERVER = "redis-cache"
UNIT = "redis-cache.service"


def is_plain(control):
    return control.type != "secret"


def is_answered(control):
    # Who answers on a port has that port: where it listens is seen from outside, below.
    return is_plain(control) and control.key != "port"


@pytest.mark.controls(component=SERVER, where=is_answered)
def test_the_server_runs_with(control, facts, found):
    assert control.parse(found(facts.redis.cache.config[control.key])) == control.value


@pytest.mark.controls(component=SERVER, where=is_plain)
def test_the_file_would_bring_the_same_value_again(control, facts, found):
    text = facts.redis.cache.file.get(control.key)
    assert text is not None, f"{SERVER}.conf does not set it"
    assert control.parse(found(text)) == control.value, f"{SERVER}.conf has another value"


@pytest.mark.controls("redis-cache.requirepass")
def test_the_password_is_the_targets_own(control, facts, found):
    assert found(facts.redis.password("cache")) == "«secret REDIS_CACHE_PASSWORD»"


@pytest.mark.controls("redis-cache.requirepass")
def test_the_file_has_the_same_password(control, facts, found):
    assert found(facts.redis.cache.file.get(control.key)) == "«secret REDIS_CACHE_PASSWORD»"


@pytest.mark.controls("redis-cache.requirepass")
def test_nobody_is_served_without_the_password(control, facts, found):
    assert found(facts.redis.stranger("cache")).startswith("NOAUTH")


@pytest.mark.controls("redis-cache.bind", "redis-cache.port")
def test_it_listens_there_and_nowhere_else(control, facts, found):
    pid = facts.units[UNIT].pid
    sockets = {
        f"{listener.address}:{listener.port}"
        for listener in facts.host.listening
        if pid in {holder for _, holder in listener.processes}
    }
    assert found(sockets) == {"127.0.0.1:6379"}


@pytest.mark.controls("redis-cache.pidfile")
def test_the_pid_file_names_the_running_server(control, facts, found):
    assert found(facts.redis.cache.pidfile) == str(facts.units[UNIT].pid)


@pytest.mark.controls("redis-cache.supervised")
def test_systemd_is_told_when_the_server_is_ready(control, facts, found):
    assert found(f"Type={facts.units[UNIT].type}") == "Type=notify"


@pytest.mark.controls("redis-cache.save", "redis-cache.appendonly")
def test_nothing_is_written_to_disk(control, facts, found):
    info = facts.redis.cache.info
    assert found(f"aof_enabled:{info['aof_enabled']}") == "aof_enabled:0"
    assert info["rdb_bgsave_in_progress"] == "0"


@pytest.mark.intrusive
@pytest.mark.controls("redis-cache.maxmemory-policy")
def test_the_cache_evicts_at_its_limit(control, expectations, filling, found):
    filled = filling("cache")
    assert filled.refusal == "", "the cache refuses writes at its limit"
    assert found(filled.client.info("stats")["evicted_keys"]) > 0, "nothing was evicted"
    assert filled.present() < filled.written
    # The last script may go over the limit; the next command brings it back.
    limit = expectations["redis-cache.maxmemory"].value
    assert filled.client.info("memory")["used_memory"] <= limit + filled.STEP * 2**21


@pytest.mark.intrusive
@pytest.mark.controls("redis-cache.save")
def test_its_keys_do_not_survive_a_restart(control, redis_client, as_root, found):
    redis_client("cache").set("connect-infra:probe", "kept", ex=120)
    as_root(f"systemctl restart {UNIT}")
    assert found(redis_client("cache").get("connect-infra:probe")) is None
