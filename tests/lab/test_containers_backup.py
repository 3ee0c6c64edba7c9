"""Backups and restores on a Docker host: to a moment, to the end, from a dump, on another host."""

import json
import re
import time

import pytest

from connect_infra import operations
from connect_infra.transport import connect
from connect_infra.web import Site
from tests.lab.containers import cluster, sql, wait_for_containers
from tests.lab.operations import script
from tests.lab.shell import eventually, sh

pytestmark = pytest.mark.long

RTO = 300
"""Seconds: document S, database RTO."""

ROWS = "SELECT coalesce(string_agg(n::text, ' ' ORDER BY n), '') FROM kept"


@pytest.fixture
def table(docker_host):
    """A table with a row from before the test."""
    sql(docker_host, "DROP TABLE IF EXISTS kept; CREATE TABLE kept (n int PRIMARY KEY); "
                     "INSERT INTO kept VALUES (1)")  # fmt: skip
    yield docker_host
    wait_for_containers(docker_host)


def restored(host, *arguments):
    """Run the restore; within the documented time, and both nodes are there afterwards."""
    code, said = script(host, "restore-database.sh", *arguments, limit=600)
    assert code == 0, said
    took = int(re.search(r"served: (\d+) s", said)[1])
    print(f"restored {' '.join(arguments)}: served after {took} s")
    assert took < RTO
    roles = sorted(role for role, _ in cluster(host).values())
    assert roles in (["leader", "replica"], ["leader", "sync_standby"])
    health = json.loads(Site(host.target()).ask("/api/health").body)
    assert health["status"] == "healthy"


def test_a_restore_to_the_end_loses_nothing(table):
    sql(table, "INSERT INTO kept VALUES (2)")
    restored(table)
    assert sql(table, ROWS) == "1 2"


def test_a_restore_to_a_moment_undoes_what_came_later(table):
    sql(table, "INSERT INTO kept VALUES (2)")
    time.sleep(1)
    moment = sql(table, "SELECT now()")
    time.sleep(1)
    sql(table, "INSERT INTO kept VALUES (3); DROP TABLE ledger")
    restored(table, "--to", f"'{moment}'")
    assert sql(table, ROWS) == "1 2"
    assert sql(table, "SELECT count(*) >= 0 FROM ledger") == "t"


def test_a_restore_that_can_t_be_leaves_the_database_as_it_was(table):
    code, said = script(table, "restore-database.sh", "--to", "2020-01-01", limit=300)
    assert code == 1, said
    assert "the database is as it was, and served" in said
    assert sql(table, ROWS) == "1"
    assert Site(table.target()).ask("/api/health").status == 200


def test_a_dump_takes_the_database_s_place(table):
    code, said = script(table, "backup-database.sh")
    assert code == 0, said
    sql(table, "INSERT INTO kept VALUES (2); DELETE FROM kept WHERE n = 1")
    restored(table, "--dump", "latest")
    assert sql(table, ROWS) == "1"


def test_a_damaged_dump_is_refused_and_nobody_is_stopped(table):
    sh(table, "head -c 20000 /backups/postgres/latest.sql > /root/half.sql; "
              "echo 'SELECT broken' >> /root/half.sql")  # fmt: skip
    code, said = script(table, "restore-database.sh", "--dump", "/root/half.sql")
    assert code == 1
    assert "nothing was stopped" in said
    assert Site(table.target()).ask("/api/health").status == 200


def test_wal_is_archived_within_the_documented_15_minutes(docker_host):
    setting = sql(docker_host, "SHOW archive_timeout")
    assert setting == "5min"
    segment = sh(docker_host, "docker exec patroni1 psql -XAtqU postgres -c 'SELECT "
                              "pg_is_in_recovery()'")  # fmt: skip
    node = "patroni2" if segment == "t" else "patroni1"
    ask = f"docker exec {node} psql -XAtqU postgres -c"
    switched = sh(docker_host, f"{ask} 'SELECT pg_walfile_name(pg_switch_wal())'")
    assert eventually(
        lambda: (
            sh(docker_host, f"{ask} 'SELECT last_archived_wal FROM pg_stat_archiver'") >= switched
        )
    )
    assert sh(docker_host, f"{ask} 'SELECT failed_count FROM pg_stat_archiver'").isdigit()


def test_everything_is_recovered_on_an_empty_host(lab, docker_snapshot, docker_host, tmp_path):
    """The lost host's backups, brought to another one."""
    said = []
    sql(docker_host, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 42 AS n")
    sh(docker_host, "docker exec connect_redis redis-cli set recovered yes; "
                    "install -o connect -g connect /dev/null /opt/connect/uploads/recovered.txt; "
                    "echo recovered > /opt/connect/uploads/recovered.txt")  # fmt: skip
    copy = tmp_path / "copy.tar"
    with connect(docker_host.target()) as connection:
        operations.back_up_database(connection, said.append, full=True)
        operations.back_up_system(connection, said.append)
        operations.copy_off(connection, copy, said.append, "containers")
    other = lab.up("other", docker_snapshot, topology="containers")
    try:
        wait_for_containers(other)
        with connect(other.target()) as connection:
            operations.copy_back(connection, copy, said.append, "containers")
        code, output = script(other, "disaster-recovery.sh", limit=600)
        assert code == 0, output
        print(output)
        assert sql(other, "SELECT n FROM kept") == "42"
        assert sh(other, "docker exec connect_redis redis-cli get recovered") == "yes"
        answer = Site(other.target()).ask("/uploads/recovered.txt")
        assert answer.body == b"recovered\n"
    finally:
        other.remove()
