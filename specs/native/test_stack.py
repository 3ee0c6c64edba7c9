"""Architecture v2.0, 2.1: the services of the data layer and what each is there for."""

import pytest

from connect_infra.facts.units import POSTGRESQL

UNITS = {
    "stack.pool": "pgbouncer.service",
    "stack.database": POSTGRESQL,
    "stack.cache": "redis-cache.service",
    "stack.queue": "redis-queue.service",
}
PROMPT = 60
"""Seconds within which a finished WAL file is archived; the documents allow the loss of 15 min."""
PORTS = {"stack.pool": 6432, "stack.database": 5432, "stack.cache": 6379, "stack.queue": 6380}


@pytest.mark.controls(*UNITS)
def test_the_service_runs(control, facts, found):
    unit = facts.units[UNITS[control.id]]
    found(unit.state)
    assert unit.runs, "the service does not run"


@pytest.mark.controls(*UNITS)
def test_the_service_starts_at_boot(control, facts, found):
    unit = facts.units[UNITS[control.id]]
    umbrella = facts.units["postgresql.service"]
    boots = unit.starts_at_boot or (unit.name == POSTGRESQL and umbrella.starts_at_boot)
    found(unit.state)
    assert boots, "the service does not start at boot"


@pytest.mark.controls(*UNITS)
def test_the_service_is_started_again_when_it_dies(control, facts, found):
    restart = facts.units[UNITS[control.id]].restart
    assert found(f"Restart={restart}") in {"Restart=always", "Restart=on-failure"}


@pytest.mark.controls(*UNITS)
def test_it_listens_on_its_port_for_this_host_only(control, facts, found):
    listeners = facts.host.listeners(PORTS[control.id])
    holders = {pid for listener in listeners for _, pid in listener.processes}
    assert found({one.address for one in listeners}) <= {"127.0.0.1", "::1"}
    assert facts.units[UNITS[control.id]].pid in holders, "the port is not the service's"


@pytest.mark.controls("stack.pool")
def test_500_clients_share_50_servers_a_transaction_each(control, facts, found):
    config = facts.pgbouncer.config
    running = [config[key].value for key in ("max_client_conn", "default_pool_size", "pool_mode")]
    assert found(running) == ["500", "50", "transaction"]


@pytest.mark.controls("stack.database")
def test_the_database_is_release_15_and_takes_writes(control, facts, found):
    assert found(facts.postgresql.version).split(".")[0] == "15"
    assert not facts.postgresql.recovery, "the server is in recovery: it takes no writes"
    wrong = "; ".join(line.error for line in facts.postgresql.file_settings if line.error)
    assert not wrong, f"the configuration has lines that the server can't take: {found(wrong)}"


@pytest.mark.controls("stack.database")
def test_pgbackrest_takes_in_the_wal(control, facts, found):
    archiver = facts.postgresql.archiver
    assert facts.pgbackrest.code in {0, 2}, found(facts.pgbackrest.status)
    assert found(facts.pgbackrest.archives), "the repository holds no WAL"
    assert (archiver.waiting or 0) < PROMPT, "a WAL file has been waiting to be archived"
    late = (archiver.last_failed_time or "") > (archiver.last_archived_time or "")
    assert not late, f"the last WAL file was not archived: {archiver.last_failed}"


@pytest.mark.controls("stack.cache")
def test_the_cache_evicts_and_keeps_nothing(control, facts, expectations, found):
    config = facts.redis.cache.config
    kept = [config[key] for key in ("maxmemory-policy", "save", "appendonly")]
    assert found(kept) == ["allkeys-lru", "", "no"]
    assert int(config["maxmemory"]) == expectations["redis-cache.maxmemory"].value


@pytest.mark.controls("stack.queue")
def test_the_queue_evicts_nothing_and_keeps_all(control, facts, expectations, found):
    config = facts.redis.queue.config
    kept = [config[key] for key in ("maxmemory-policy", "appendonly")]
    assert found(kept) == ["noeviction", "yes"]
    assert int(config["maxmemory"]) == expectations["redis-queue.maxmemory"].value


@pytest.mark.intrusive
@pytest.mark.controls(*UNITS)
def test_the_service_comes_back_after_a_kill(control, dies_and_returns, found):
    assert found(dies_and_returns(UNITS[control.id])), "it stays down"
