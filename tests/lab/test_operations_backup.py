"""Backups and restores for real: what was acknowledged comes back, here and on another host."""

import json
import time

import pytest

from connect_infra import operations
from connect_infra.transport import connect
from tests.lab.operations import SCRIPTS, current, fresh_backup, script
from tests.lab.shell import eventually, sh

long = pytest.mark.long  # minutes on two cores; `make proofs` runs it


@pytest.fixture(scope="module", autouse=True)
def _backup_of_today(host):
    fresh_backup(host)


PSQL = "cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d connect"
DATA = "/var/lib/postgresql/15/main"
REPOSITORY = "/opt/connect/backup/pgbackrest"

CONTENT = f"""
{PSQL} -c "SELECT count(*), md5(string_agg(p::text, '' ORDER BY id)) FROM funding_programs p"
{PSQL} -c "SELECT count(*), md5(string_agg(m::text, '' ORDER BY m::text)) FROM funding_matches m"
{PSQL} -c "SELECT count(*), md5(string_agg(u::text, '' ORDER BY id)) FROM users u"
{PSQL} -c "SELECT count(*), md5(string_agg(m::text, '' ORDER BY migration_name))
  FROM _prisma_migrations m"
"""
FILES = """
cd /opt/connect && find current/ shared/config shared/uploads -type f -print0 | sort -z |
  xargs -0 sha256sum
"""


def query(host, sql):
    return sh(host, f'{PSQL} -c "{sql}"')


def done(answer):
    code, said = answer
    assert code == 0, said
    return said


@pytest.fixture
def acknowledged(host):
    """A table whose rows are counted before and after."""
    query(host, "CREATE TABLE IF NOT EXISTS acknowledged (n int)")
    query(host, "TRUNCATE acknowledged")
    yield lambda: int(query(host, "SELECT count(*) FROM acknowledged"))
    query(host, "DROP TABLE acknowledged")
    done(script(host, "backup-database.sh", "full"))


@long
def test_a_restore_loses_no_acknowledged_row_even_unarchived(host, acknowledged):
    """The server dies with WAL that the archive never got."""
    query(host, "ALTER SYSTEM SET archive_command = '/bin/false'")
    query(host, "SELECT pg_reload_conf()")
    query(host, "INSERT INTO acknowledged SELECT generate_series(1, 100000)")
    query(host, "SELECT pg_switch_wal()")
    query(host, "INSERT INTO acknowledged SELECT generate_series(1, 1000)")
    sh(host, f"kill -9 $(head -n 1 {DATA}/postmaster.pid); systemctl stop postgresql@15-main")
    waiting = sh(host, f"basename -s .ready {DATA}/pg_wal/archive_status/*.ready").split()
    assert waiting
    said = done(script(host, "restore-database.sh"))
    assert acknowledged() == 101_000
    assert "done: the database is restored and writable" in said
    archive = sh(host, f"ls {REPOSITORY}/archive/connect/15-1/*/")
    assert all(f"{segment}-" in archive for segment in waiting)
    done(script(host, "verify-backup.sh"))


@long
def test_a_moment_is_restored_and_what_came_later_is_gone(host, acknowledged):
    query(host, "INSERT INTO acknowledged SELECT generate_series(1, 500)")
    time.sleep(1.2)
    moment = sh(host, "date '+%F %T.%6N%:z'")
    time.sleep(1.2)
    query(host, "INSERT INTO acknowledged SELECT generate_series(501, 1000)")
    with connect(host.target()) as connection:
        operations.restore_database(connection, print, moment)
    assert acknowledged() == 500
    assert query(host, "SELECT max(n) FROM acknowledged") == "500"
    assert query(host, "SELECT pg_is_in_recovery()") == "f"


def test_what_can_not_be_restored_is_refused_before_anything_stops(host):
    started = sh(host, f"head -n 3 {DATA}/postmaster.pid")
    code, said = script(host, "restore-database.sh", "--to", "'2999-01-01 00:00'")
    assert (code, "has not come yet; nothing was stopped" in said) == (1, True)
    assert script(host, "restore-database.sh", "--to", "'the day before'")[0] == 2
    assert sh(host, f"head -n 3 {DATA}/postmaster.pid") == started


def test_the_system_comes_back_as_it_was(host):
    done(script(host, "backup-system.sh"))
    before, release = sh(host, FILES), current(host)
    sh(
        host,
        f"""
        systemctl stop connect
        rm -r /opt/connect/releases/{release}/lib /opt/connect/shared/uploads/*
        rm /opt/connect/shared/config/.env.production
        rm -r /opt/connect/releases/{release}""",
    )
    said = done(script(host, "restore-system.sh"))
    assert "each as it was" in said
    assert sh(host, FILES) == before
    assert sh(host, "stat -c '%a %U' /opt/connect/shared/config/.env.production") == "600 connect"
    assert current(host) == release
    assert sh(host, "test -L /opt/connect/shared/config/nginx.conf && echo link") == "link"


def test_old_system_backups_go_and_the_newest_stays(host):
    home = "/opt/connect/backup/system"
    sh(host, f"touch -d '31 days ago' {home}/connect_system_20200101_000000.tar.gz; "
             f"touch -d '29 days ago' {home}/connect_system_20200102_000000.tar.gz")  # fmt: skip
    done(script(host, "backup-system.sh"))
    kept = sh(host, f"ls -A {home}; rm {home}/connect_system_20200102*").split()
    assert "connect_system_20200101_000000.tar.gz" not in kept
    assert "connect_system_20200102_000000.tar.gz" in kept
    assert not [name for name in kept if name.startswith(".")]
    modes = sh(host, f"stat -c '%a %U' {home}/{kept[-1]} {home}")
    assert modes.splitlines() == ["600 root", "700 root"]


DAMAGES = {
    "a file of the repository": (
        f"file=$(find {REPOSITORY}/backup -path '*/pg_data/*' -size +50k | sort | tail -n 1)\n"
        "cp -a $file /root/kept; printf xxxx | dd of=$file bs=1 seek=2000 conv=notrunc status=none",
        "cp -a /root/kept $file",
        "the repository is damaged",
    ),
    "a segment of the archive": (
        f"{PSQL} -c 'SELECT pg_switch_wal()' -c 'CHECKPOINT' -c 'SELECT txid_current()' "
        "-c 'SELECT pg_switch_wal()'; sleep 3\n"
        f"file=$(ls {REPOSITORY}/archive/connect/15-1/*/*.gz | tail -n 2 | head -n 1)\n"
        "mv $file /root/kept",
        "mv /root/kept $file",
        "error: ",
    ),
    "the system's archive": (
        "file=$(ls /opt/connect/backup/system/*.tar.gz | tail -n 1); cp -a $file /root/kept\n"
        "mkdir /root/x; tar -xzf $file -C /root/x\n"
        "echo x >> $(find /root/x -name server.js -print -quit)\n"
        "tar -czf $file -C /root/x .; rm -r /root/x",
        "cp -a /root/kept $file",
        "can't be restored",
    ),
}  # fmt: skip


@long
@pytest.mark.parametrize("what", DAMAGES)
def test_a_backup_that_can_not_be_restored_is_found(host, what):
    damage, mend, reason = DAMAGES[what]
    name = sh(host, f"{damage}\necho $file").splitlines()[-1]
    try:
        code, said = script(host, "verify-backup.sh")
    finally:
        sh(host, f"file={name}\n{mend}")
    assert code == 1, said
    assert reason in said
    assert sh(host, "ls -d /var/lib/postgresql/connect-verify || true").endswith("directory")
    done(script(host, "verify-backup.sh"))


@long
def test_two_at_once_the_second_is_refused(host):
    sh(host, f"{SCRIPTS}/verify-backup.sh >/dev/null 2>&1 &")
    code, said = script(host, "backup-system.sh")
    assert (code, "another backup or restore is running" in said) == (1, True)
    lock = "flock --nonblock /var/lib/connect-infra/backup.lock true"
    assert eventually(lambda: host.exec(lock)[0] == 0, 60)


@long
def test_another_host_is_restored_from_a_copy(lab, snapshot, host, tmp_path):
    with connect(host.target()) as connection:
        operations.back_up_database(connection, print)
        operations.back_up_system(connection, print)
        query(host, "INSERT INTO ledger (element) VALUES (4711)")
        query(host, "SELECT pg_switch_wal()")
        assert eventually(lambda: query(host, "SELECT last_archived_wal = pg_walfile_name("
                          "pg_current_wal_lsn() - 16777216) FROM pg_stat_archiver"))  # fmt: skip
        operations.copy_off(connection, tmp_path / "copy.tar", print)
    assert (tmp_path / "copy.tar").stat().st_mode & 0o777 == 0o600
    other = lab.up("other", snapshot)
    try:
        with connect(other.target()) as connection:
            operations.copy_back(connection, tmp_path / "copy.tar", print)
            operations.restore_database(connection, print, brought=True)
            operations.restore_system(connection, print)
            health = operations.health(connection)
        assert sh(other, CONTENT) == sh(host, CONTENT)
        assert query(other, "SELECT element FROM ledger") == query(
            host, "SELECT element FROM ledger"
        )
        assert sh(other, FILES) == sh(host, FILES)
        assert [check for check in health if not check.ok] == []
    finally:
        other.remove()


def test_health_sees_the_backup(host):
    said = json.loads(script(host, "health-check.sh", "--json")[1])
    backup = next(check for check in said["checks"] if check["check"] == "backup")
    assert backup["ok"], backup
