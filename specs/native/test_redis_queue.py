"""Architecture v2.0, 3.3: the Redis queue on 6380, as it runs and as its clients meet it."""

import pytest

SERVER = "redis-queue"
UNIT = "redis-queue.service"


def is_plain(control):
    return control.type != "secret"


def is_answered(control):
    # Who answers on a port has that port: where it listens is seen from outside, below.
    return is_plain(control) and control.key != "port"


@pytest.mark.controls(component=SERVER, where=is_answered)
def test_the_server_runs_with(control, facts, found):
    assert control.parse(found(facts.redis.queue.config[control.key])) == control.value


@pytest.mark.controls(component=SERVER, where=is_plain)
def test_the_file_would_bring_the_same_value_again(control, facts, found):
    text = facts.redis.queue.file.get(control.key)
    assert text is not None, f"{SERVER}.conf does not set it"
    assert control.parse(found(text)) == control.value, f"{SERVER}.conf has another value"


@pytest.mark.controls("redis-queue.requirepass")
def test_the_password_is_the_targets_own(control, facts, found):
    assert found(facts.redis.password("queue")) == "«secret REDIS_QUEUE_PASSWORD»"


@pytest.mark.controls("redis-queue.requirepass")
def test_the_file_has_the_same_password(control, facts, found):
    assert found(facts.redis.queue.file.get(control.key)) == "«secret REDIS_QUEUE_PASSWORD»"


@pytest.mark.controls("redis-queue.requirepass")
def test_nobody_is_served_without_the_password(control, facts, found):
    assert found(facts.redis.stranger("queue")).startswith("NOAUTH")


@pytest.mark.controls("redis-queue.bind", "redis-queue.port")
def test_it_listens_there_and_nowhere_else(control, facts, found):
    pid = facts.units[UNIT].pid
    sockets = {
        f"{listener.address}:{listener.port}"
        for listener in facts.host.listening
        if pid in {holder for _, holder in listener.processes}
    }
    assert found(sockets) == {"127.0.0.1:6380"}


@pytest.mark.controls("redis-queue.pidfile")
def test_the_pid_file_names_the_running_server(control, facts, found):
    assert found(facts.redis.queue.pidfile) == str(facts.units[UNIT].pid)


@pytest.mark.controls("redis-queue.supervised")
def test_systemd_is_told_when_the_server_is_ready(control, facts, found):
    assert found(f"Type={facts.units[UNIT].type}") == "Type=notify"


@pytest.mark.controls("redis-queue.appendonly", "redis-queue.appendfsync")
def test_the_append_only_file_is_written_without_errors(control, facts, found):
    info = facts.redis.queue.info
    state = [info[name] for name in ("aof_enabled", "aof_last_write_status")]
    assert found(state) == ["1", "ok"]


@pytest.mark.controls("redis-queue.maxmemory-policy")
def test_nothing_was_ever_evicted(control, facts, found):
    assert found(facts.redis.queue.info["evicted_keys"]) == "0", "it has evicted keys"


@pytest.mark.intrusive
@pytest.mark.controls("redis-queue.maxmemory-policy")
def test_the_queue_refuses_writes_at_its_limit_and_loses_nothing(control, filling, found):
    filled = filling("queue")
    assert "maxmemory" in found(filled.refusal), "the queue took more than its limit"
    assert filled.present() >= filled.written > 0
    assert filled.client.info("stats")["evicted_keys"] == 0


@pytest.mark.intrusive
@pytest.mark.controls("redis-queue.appendonly")
def test_its_keys_survive_a_restart(control, redis_client, as_root, found):
    redis_client("queue").set("connect-infra:probe", "kept", ex=120)
    as_root(f"systemctl restart {UNIT}")
    after = redis_client("queue")
    assert found(after.get("connect-infra:probe")) == "kept"
    after.unlink("connect-infra:probe")
