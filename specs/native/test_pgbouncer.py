"""Architecture v2.0, 3.2: PgBouncer, as its admin console shows it and as clients meet it."""

import pytest

SECTION = "pgbouncer"


def is_parameter(control):
    return control.key.startswith("pgbouncer.")


def name_of(control):
    return control.key.removeprefix("pgbouncer.")


def is_answered(control):
    # Who answers on a port has that port: where it listens is seen from outside, below.
    return is_parameter(control) and name_of(control) != "listen_port"


@pytest.mark.controls(component="pgbouncer", where=is_answered)
def test_the_pooler_runs_with(control, facts, found):
    parameter = facts.pgbouncer.config[name_of(control)]
    assert control.parse(found(parameter.value)) == control.value


@pytest.mark.controls(component="pgbouncer", where=is_parameter)
def test_the_file_would_bring_the_same_value_again(control, facts, found):
    text = facts.pgbouncer.file.get(SECTION, {}).get(name_of(control))
    assert text is not None, "pgbouncer.ini does not set it"
    assert control.parse(found(text)) == control.value, "pgbouncer.ini has another value"


@pytest.mark.controls("pgbouncer.databases.connect")
def test_the_database_leads_to_the_documented_server(control, facts, found):
    assert control.parse(found(facts.pgbouncer.database_line("connect"))) == control.value


@pytest.mark.controls("pgbouncer.databases.connect")
def test_the_database_takes_clients(control, facts, found):
    row = facts.pgbouncer.databases["connect"]
    assert found(f"paused={row['paused']} disabled={row['disabled']}") == "paused=0 disabled=0"


@pytest.mark.controls("pgbouncer.databases.connect")
def test_the_file_has_the_documented_database(control, facts, found):
    line = facts.pgbouncer.file.get("databases", {}).get("connect", "")
    words = [word for word in line.split() if not word.startswith("password=")]
    assert control.parse(found(" ".join(words))) == control.value, "pgbouncer.ini has another"


@pytest.mark.controls("pgbouncer.listen_addr", "pgbouncer.listen_port")
def test_it_listens_there_and_nowhere_else(control, facts, found):
    pid = facts.units["pgbouncer.service"].pid
    sockets = {
        f"{listener.address}:{listener.port}"
        for listener in facts.host.listening
        if pid in {holder for _, holder in listener.processes}
    }
    assert found(sockets) == {"127.0.0.1:6432"}


@pytest.mark.controls("pgbouncer.pool_mode")
def test_no_database_is_pooled_in_another_way(control, facts, found):
    others = {
        f"{name}: {row['pool_mode']}"
        for name, row in facts.pgbouncer.databases.items()
        if name != "pgbouncer" and row["pool_mode"] not in {"", control.value}
    }
    assert found(others) == set()


@pytest.mark.intrusive
@pytest.mark.controls("pgbouncer.pool_mode")
def test_a_server_serves_another_client_after_each_transaction(control, pooler, found):
    first, second = pooler("interleave")
    assert found(first) != second, "the client kept its server between two transactions"


@pytest.mark.intrusive
@pytest.mark.controls("pgbouncer.pool_mode")
def test_what_one_client_sets_does_not_leak_to_another(control, pooler, found):
    own, others = pooler("leak")
    assert own == "connect-infra-probe", "the client lost its own session's value"
    assert found(others) == "other ", "a value that one client set reached another client"


@pytest.mark.intrusive
@pytest.mark.controls("pgbouncer.default_pool_size")
def test_more_clients_than_servers_are_served(control, pooler, found):
    servers = pooler("share", clients=120)
    assert 0 < found(servers) <= control.value, "120 clients held more servers than documented"


@pytest.mark.intrusive
@pytest.mark.controls("pgbouncer.max_client_conn")
def test_the_501st_client_is_refused_with_a_clear_message(control, pooler, found):
    admitted, refusal = pooler("crowd", clients=int(control.value) + 1)
    assert found(admitted) == control.value
    assert "no more connections allowed" in refusal
