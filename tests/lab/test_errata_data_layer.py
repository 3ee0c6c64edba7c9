"""What the documented text of the data layer does on a real host, one test an erratum.

Each test takes away what this project adds, so that only the documented text is in force.
"""

import time

import pytest

from tests.lab.shell import eventually, sh

pytestmark = pytest.mark.long  # minutes on two cores; `make proofs` runs it

CONF = "/etc/postgresql/15/main"
PSQL = "runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1"
RESTART = "systemctl restart postgresql@15-main"
SECRET = "$(sed -n 's|^{}=.*:\\(.*\\)@.*|\\1|p' /opt/connect/shared/config/.env.production)"
POOLED = (
    f"PGPASSWORD={SECRET.format('DATABASE_URL')} PGCONNECT_TIMEOUT=30 "
    "psql -XAtq -h 127.0.0.1 -p 6432 -U connect -d connect -c 'SELECT 7'"
)
"""A query through the pool, with the password that the host itself keeps."""


def switch_wal(host):
    sh(host, f"{PSQL} -c 'CREATE TABLE IF NOT EXISTS w (n int)' -c 'INSERT INTO w VALUES (1)' "
             f"-c 'SELECT pg_switch_wal()'")  # fmt: skip


def archiver(host, column):
    return sh(host, f"{PSQL} -c 'SELECT {column} FROM pg_stat_archiver'")


@pytest.fixture
def fresh(lab, snapshot):
    """A provisioned host for a test that breaks more than it can mend."""
    booted = lab.up("fresh", snapshot)
    yield booted
    booted.remove()


def test_archive_command_without_stanza_archives_nothing(host):
    sh(host, f"mv {CONF}/environment {CONF}/environment.kept; {RESTART}")
    before = int(archiver(host, "archived_count"))
    switch_wal(host)
    assert eventually(lambda: int(archiver(host, "failed_count")) > 0)
    log = sh(host, "tail -n 200 /var/log/postgresql/postgresql-15-main.log")
    assert "[037]" in log
    assert "stanza" in log
    sh(host, f"mv {CONF}/environment.kept {CONF}/environment; {RESTART}")
    assert eventually(lambda: int(archiver(host, "archived_count")) > before)


def test_quiet_database_archives_nothing_without_archive_timeout(host):
    try:
        sh(host, f"{PSQL} -c \"ALTER SYSTEM SET archive_timeout = 0\" -c 'SELECT pg_reload_conf()'")
        switch_wal(host)
        segment = "SELECT pg_walfile_name(pg_current_wal_lsn())"
        sh(host, f"{PSQL} -c 'INSERT INTO w VALUES (2)'")
        written = sh(host, f"{PSQL} -c '{segment}'")
        time.sleep(5)
        assert sh(host, f"{PSQL} -c '{segment}'") == written
        assert archiver(host, "last_archived_wal") < written
        sh(host, f"{PSQL} -c \"ALTER SYSTEM SET archive_timeout = '1s'\" "
                 "-c 'SELECT pg_reload_conf()'")  # fmt: skip
        sh(host, f"{PSQL} -c 'INSERT INTO w VALUES (3)'")
        assert eventually(lambda: archiver(host, "last_archived_wal") >= written)
    finally:
        sh(host, f"{PSQL} -c 'ALTER SYSTEM RESET archive_timeout' -c 'SELECT pg_reload_conf()'")


def test_documented_restore_loses_acknowledged_rows(fresh):
    backrest = "runuser -u postgres -- pgbackrest --stanza=connect --log-level-console=warn"
    sh(fresh, f"{PSQL} -d connect -c 'CREATE TABLE acknowledged (n int)'")
    sh(fresh, f"{PSQL} -d connect -c 'INSERT INTO acknowledged VALUES (1)'")
    sh(fresh, f"{backrest} backup --type=full", 120)
    sh(fresh, f"{PSQL} -d connect -c "
              "'INSERT INTO acknowledged SELECT generate_series(2, 1001)'")  # fmt: skip
    sh(fresh, f"{PSQL} -c 'SELECT pg_switch_wal()'")
    assert eventually(lambda: sh(fresh, "ls /var/lib/postgresql/15/main/pg_wal/archive_status "
                                        "| grep -c ready || true") == "0")  # fmt: skip
    sh(fresh, "systemctl stop pgbouncer; systemctl stop postgresql@15-main")
    code, output = fresh.exec(f"{backrest} restore --type=immediate")
    assert code != 0
    assert "[040]" in output
    sh(fresh, f"{backrest} restore --delta --type=immediate; systemctl start postgresql@15-main")
    count = f"{PSQL} -d connect -c 'SELECT count(*) FROM acknowledged'"
    assert eventually(lambda: fresh.exec(count)[0] == 0)
    assert int(sh(fresh, count)) < 1001
    assert sh(fresh, f"{PSQL} -c 'SELECT pg_is_in_recovery()'") == "t"
    sh(fresh, "systemctl stop postgresql@15-main")
    sh(fresh, f"{backrest} restore --delta --type=default; systemctl start postgresql@15-main")
    writable = f"{PSQL} -c 'SELECT NOT pg_is_in_recovery()'"
    assert eventually(lambda: fresh.exec(writable)[1].strip() == "t")
    assert int(sh(fresh, count)) == 1001


def test_killed_postmaster_stays_down_without_the_drop_in(host):
    drop_in = "/etc/systemd/system/postgresql@15-main.service.d"
    other = "/etc/systemd/system/postgresql@.service.d"
    sh(host, f"mkdir -p /root/kept; mv {drop_in} {other} /root/kept/ 2>/dev/null || true; "
             "systemctl daemon-reload")  # fmt: skip
    kill = "kill -9 $(head -n 1 /var/lib/postgresql/15/main/postmaster.pid)"
    state = "systemctl is-active postgresql@15-main || true"
    try:
        sh(host, kill)
        assert eventually(lambda: sh(host, state) == "failed")
        time.sleep(3)
        assert sh(host, state) == "failed"
    finally:
        sh(host, "cp -a /root/kept/* /etc/systemd/system/; systemctl daemon-reload; "
                 "systemctl reset-failed; systemctl start postgresql@15-main")  # fmt: skip
    sh(host, kill)
    assert eventually(lambda: host.exec(f"{PSQL} -c 'SELECT 1'")[0] == 0)


def test_umbrella_unit_is_active_while_its_cluster_is_down(host):
    sh(host, "systemctl stop postgresql@15-main")
    try:
        assert sh(host, "systemctl is-active postgresql") == "active"
        assert host.exec(f"{PSQL} -c 'SELECT 1'")[0] != 0
    finally:
        sh(host, "systemctl start postgresql@15-main")


def test_redis_warns_about_memory_overcommit(host):
    if sh(host, "cat /proc/sys/vm/overcommit_memory") == "1":
        pytest.fail("this kernel overcommits already: the warning can't be shown here")
    assert "Memory overcommit must be enabled" in sh(host, "cat /var/log/redis/redis-queue.log")


def test_redis_units_come_with_no_package(host):
    listed = sh(host, "dpkg -L redis-server redis-tools | grep '\\.service$'")
    assert "redis-server.service" in listed
    assert "redis-cache" not in listed
    assert "redis-queue" not in listed
    owned, _ = host.exec("dpkg -S /etc/systemd/system/redis-cache.service")
    assert owned != 0
    for name in ("cache", "queue"):
        pid = sh(host, f"systemctl show --property=MainPID --value redis-{name}")
        assert sh(host, f"ps -o comm= -p {pid}") == "redis-server"


def test_redis_writes_no_pidfile_without_its_runtime_directory(host):
    unit = "/etc/systemd/system/redis-cache.service"
    sh(host, f"cp {unit} /root/redis-cache.kept; sed -i '/^RuntimeDirectory/d' {unit}; "
             "systemctl daemon-reload; systemctl stop redis-cache redis-queue; rm -rf /run/redis; "
             "systemctl start redis-cache")  # fmt: skip
    try:
        assert host.exec("ls /run/redis/redis-cache.pid")[0] != 0
    finally:
        sh(host, f"mv /root/redis-cache.kept {unit}; systemctl daemon-reload; "
                 "systemctl restart redis-cache redis-queue")  # fmt: skip
    assert host.exec("ls /run/redis/redis-cache.pid")[0] == 0


def test_a_power_cut_leaves_a_queue_that_does_not_start(host):
    """What `drill run queue-power-cut` found: the file has a length that was never written."""
    drop_in = "/etc/systemd/system/redis-queue.service.d/documented.conf"
    cli = f"REDISCLI_AUTH={SECRET.format('REDIS_QUEUE_URL')} redis-cli -p 6380"
    sh(host, f"{cli} SET kept 1; systemctl stop redis-queue; "
             "truncate -s +324 /var/lib/redis/queue/appendonlydir/*.incr.aof; "
             f"mkdir -p {drop_in.rpartition('/')[0]}; "
             f"printf '[Service]\\nExecStartPre=\\nRestart=no\\n' >{drop_in}; "
             "systemctl daemon-reload")  # fmt: skip
    try:
        assert host.exec("systemctl start redis-queue")[0] != 0
        assert "Bad file format" in sh(host, "tail -n 5 /var/log/redis/redis-queue.log")
    finally:
        sh(host, f"rm {drop_in}; systemctl daemon-reload; systemctl reset-failed redis-queue; "
                 "systemctl start redis-queue")  # fmt: skip
    assert sh(host, f"{cli} GET kept") == "1"


def test_redis_queue_without_dir_does_not_start(host):
    conf = "/etc/redis/redis-queue.conf"
    sh(host, f"cp -p {conf} /root/queue.kept; sed -i '/^dir /d' {conf}")
    try:
        host.exec("systemctl restart redis-queue")
        assert host.exec("systemctl is-active redis-queue")[1].strip() != "active"
        log = sh(host, "tail -n 20 /var/log/redis/redis-queue.log")
        assert "Can't open or create append-only dir" in log
    finally:
        sh(host, f"mv /root/queue.kept {conf}; systemctl reset-failed redis-queue; "
                 "systemctl restart redis-queue")  # fmt: skip


def test_stanza_create_fails_in_a_directory_of_the_application(fresh):
    repository = "/opt/connect/backup/pgbackrest"
    sh(fresh, f"rm -rf {repository}")
    code, output = fresh.exec("runuser -u postgres -- pgbackrest --stanza=connect stanza-create")
    assert code != 0
    assert "[13] Permission denied" in output
    sh(fresh, f"install -d -o postgres -g postgres -m 750 {repository}")
    sh(fresh, "runuser -u postgres -- pgbackrest --stanza=connect stanza-create")


def test_md5_hash_in_the_userlist_cannot_log_in_to_the_server(host):
    users = "/etc/pgbouncer/userlist.txt"
    hashed = f"printf '%s' {SECRET.format('DATABASE_URL')}connect | md5sum | cut -d' ' -f1"
    sh(
        host,
        f"cp -p {users} /root/userlist.kept; sed -i '/^\"connect\"/d' {users}; "
        f'echo "\\"connect\\" \\"md5$({hashed})\\"" >> {users}; systemctl restart pgbouncer',
    )
    try:
        code, output = host.exec(
            f"timeout 10 sh -c '{{ {POOLED.replace(chr(39), chr(34))}; }} 2>&1'"
        )
        assert code != 0
        log = sh(host, "journalctl --unit=pgbouncer --no-pager | tail -n 20; "
                       "tail -n 20 /var/log/postgresql/pgbouncer.log 2>&1")  # fmt: skip
        assert "wrong password type" in output + log
    finally:
        sh(host, f"mv /root/userlist.kept {users}; systemctl restart pgbouncer")
    assert eventually(lambda: host.exec(POOLED)[1].strip() == "7")


def test_pool_is_slower_to_recover_than_its_database(host):
    ini = "/etc/pgbouncer/pgbouncer.ini"

    def seconds_after_start():
        sh(host, "systemctl stop postgresql@15-main; systemctl restart pgbouncer")
        host.exec(POOLED.replace("TIMEOUT=30", "TIMEOUT=3"))  # the login that is refused
        sh(host, "systemctl start postgresql@15-main")
        started = time.monotonic()
        assert eventually(lambda: host.exec(POOLED)[1].strip() == "7", 40)
        return time.monotonic() - started

    with_retry = seconds_after_start()
    sh(host, f"cp -p {ini} /root/ini.kept; sed -i '/server_login_retry/d' {ini}")
    try:
        without = seconds_after_start()
    finally:
        sh(host, f"mv /root/ini.kept {ini}; systemctl restart pgbouncer")
    assert with_retry + 3 < without


def test_pgbouncer_reaches_localhost_whatever_it_resolves_to(host):
    sh(host, "cp /etc/hosts /root/hosts.kept")
    try:
        for names in ("127.0.0.1 localhost", "::1 localhost\\n127.0.0.1 localhost"):
            sh(host, f"printf '{names}\\n' > /etc/hosts; systemctl restart pgbouncer")
            assert eventually(lambda: host.exec(POOLED)[1].strip() == "7")
    finally:
        sh(host, "cat /root/hosts.kept > /etc/hosts; systemctl restart pgbouncer")


def test_redis_cli_without_password_gets_noauth_and_exits_0(host):
    code, output = host.exec("redis-cli -p 6379 ping")
    assert code == 0
    assert output.startswith("NOAUTH")


def test_flushexpired_is_an_unknown_command(host):
    password = SECRET.format("REDIS_CACHE_URL")
    _, output = host.exec(f"REDISCLI_AUTH={password} redis-cli -p 6379 FLUSHEXPIRED")
    assert "unknown command" in output
    assert host.exec("redis-cli -p 6379 FLUSHEXPIRED >/dev/null 2>&1 || true")[0] == 0


def test_documented_alter_user_logs_the_password(host):
    sh(host, f"{PSQL} -c 'CREATE USER somebody'")
    sh(host, f"{PSQL} -c \"ALTER USER somebody WITH PASSWORD 'a-password-to-be-seen'\"")
    log = sh(host, "tail -n 50 /var/log/postgresql/postgresql-15-main.log")
    assert "a-password-to-be-seen" in log
    sh(host, f"{PSQL} -c 'DROP USER somebody'")
