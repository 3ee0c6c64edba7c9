"""The health check: every check fails when its part is broken; recovery and maintenance."""

import pytest

from connect_infra import operations
from connect_infra.transport import connect
from tests.lab.operations import SCRIPTS, STATE, checks, fresh_backup, limit, script
from tests.lab.shell import eventually, sh

long = pytest.mark.long  # minutes on two cores; `make proofs` runs it


@pytest.fixture(scope="module", autouse=True)
def _backup_of_today(host):
    fresh_backup(host)


CONNECT = "runuser -u connect -- env HOME=/home/connect PM2_HOME=/home/connect/.pm2"


def stopped(unit):
    return f"systemctl stop {unit}", f"systemctl start {unit}"


BREAKS = {
    "load": limit("watching.py", "LOAD_LIMIT = -1.0"),
    "memory": limit("settings.sh", "MEMORY_LIMIT=0"),
    "disk": (
        "mount -t tmpfs -o size=10m tmpfs /opt/connect/shared/uploads; "
        "mount -t tmpfs -o size=10m tmpfs /opt/connect/backup; "
        "fallocate -l 9M /opt/connect/backup/ballast",
        "umount /opt/connect/backup /opt/connect/shared/uploads",
    ),
    "services": stopped("cron"),
    "database": stopped("postgresql@15-main"),
    "pool": stopped("pgbouncer"),
    "redis-cache": stopped("redis-cache"),
    "redis-queue": stopped("redis-queue"),
    "application": (f"{CONNECT} pm2 stop connect", f"{CONNECT} pm2 restart connect"),
    "switching": (f"echo 'a b deploy' > {STATE}/switching", f"rm {STATE}/switching"),
    "api": stopped("nginx"),
    "certificate": limit("settings.sh", "CERTIFICATE_DAYS=1000"),
    "logs": ("truncate -s 2G /opt/connect/shared/logs/big.log",
             "rm /opt/connect/shared/logs/big.log"),
    "errors": ("for n in $(seq 101); do echo broken; done | systemd-cat -p err; sleep 1",
               "journalctl --rotate --vacuum-time=1s"),
    "backup": ("mv /opt/connect/backup/pgbackrest /opt/connect/backup/away",
               "mv /opt/connect/backup/away /opt/connect/backup/pgbackrest"),
}  # fmt: skip


def test_a_provisioned_host_is_healthy(host):
    healthy, found = checks(host)
    assert healthy, [one for one in found.values() if not one["ok"]]
    assert set(found) == set(BREAKS)
    code, said = script(host, "health-check.sh")
    assert code == 0
    assert len(said.splitlines()) == len(BREAKS)


@long
@pytest.mark.parametrize("name", BREAKS)
def test_each_check_fails_when_its_part_is_broken(host, name):
    do, undo = BREAKS[name]
    sh(host, f"mkdir -p {STATE}; {do}")
    try:
        code, said = script(host, "health-check.sh")
        broken = checks(host)[1][name]
    finally:
        sh(host, undo)
    assert code == 1
    assert not broken["ok"]
    assert f"FAIL  {name}" in said
    print(broken["found"])
    assert eventually(lambda: checks(host)[0], 60), checks(host)


@long
@pytest.mark.parametrize(
    ("part", "unit"),
    [("postgresql", "postgresql@15-main"), ("redis", "redis-queue"), ("nginx", "nginx"),
     ("connect", "connect")],
)  # fmt: skip
def test_a_part_that_is_down_is_recovered(host, part, unit):
    sh(host, f"systemctl stop {unit}")
    code, said = script(host, "service-recovery.sh", part)
    assert code == 0, said
    assert said.splitlines()[-1] == f"done: {part} serves"
    assert eventually(lambda: checks(host)[0], 60)


@long
def test_a_part_that_can_not_serve_is_not_called_recovered(host):
    sh(host, "cp -a /etc/nginx/nginx.conf /root/kept; echo nonsense >> /etc/nginx/nginx.conf")
    try:
        code, said = script(host, "service-recovery.sh", "nginx")
    finally:
        sh(host, "mv /root/kept /etc/nginx/nginx.conf")
    assert (code, "it was not restarted" in said) == (1, True)
    assert sh(host, "systemctl is-active nginx") == "active"
    assert script(host, "service-recovery.sh", "mysql")[0] == 2


@pytest.mark.parametrize(
    "change", [f"touch {SCRIPTS}/x", f"mv {SCRIPTS} {SCRIPTS}-away", f"rm {SCRIPTS}/deploy.sh"]
)
def test_the_application_can_not_change_what_root_runs(host, change):
    pid = sh(host, "pgrep -u connect -f '^node /opt/connect/current/' | head -n 1")
    assert host.exec(f"nsenter -t {pid} -m runuser -u connect -- {change}")[0] != 0
    assert script(host, "deploy.sh", "--help")[0] == 0


def test_maintenance_can_be_run_twice(host):
    logs = "/opt/connect/shared/logs"
    uploads = "/opt/connect/shared/uploads"
    sh(host, f"echo a line >> {logs}/error.log; touch {uploads}/new.tmp")
    sh(host, f"touch -d '2 days ago' {uploads}/old.tmp")
    code, said = script(host, "maintenance.sh", "--dry-run")
    assert code == 0, said
    assert sh(host, f"ls {uploads}/*.tmp | wc -l") == "2"
    for _ in range(2):
        code, said = script(host, "maintenance.sh")
        assert code == 0, said
        assert said.splitlines()[-1] == "done: maintenance"
    assert sh(host, f"ls {uploads}/*.tmp; rm {uploads}/*.tmp") == f"{uploads}/new.tmp"
    assert "a line" in sh(host, f"zcat --force {logs}/error.log-*")


def test_the_diagnosis_shows_everything_and_no_password(host):
    sh(host, "echo 'connect to postgresql://connect:hunter2@localhost' "
             ">> /opt/connect/shared/logs/error.log")  # fmt: skip
    with connect(host.target()) as connection:
        sections = {section.title: section for section in operations.diagnose(connection)}
    assert list(sections) == ["memory by service", "connections", "slow queries", "locks", "PM2",
                              "disk", "recent errors"]  # fmt: skip
    assert [section.problem for section in sections.values() if section.problem] == []
    assert "postgresql@15-main.service" in {row[0] for row in sections["memory by service"].rows}
    assert {row[1] for row in sections["PM2"].rows} == {"online"}
    assert sections["disk"].rows[0][0] == "/"
    shown = str(sections["recent errors"].rows)
    assert "postgresql://connect:…@localhost" in shown
    assert "hunter2" not in shown


@long
def test_the_diagnosis_sees_who_blocks_whom_and_what_is_slow(host):
    psql = "runuser -u postgres -- psql -Xq -d connect -c"
    lock = "BEGIN; LOCK TABLE users; SELECT pg_sleep(20)"
    sh(host, f'cd /; {psql} "{lock}" >/dev/null & sleep 1; '
             f'{psql} "SELECT count(*) FROM users" >/dev/null & sleep 2')  # fmt: skip
    with connect(host.target()) as connection:
        sections = {section.title: section for section in operations.diagnose(connection)}
    sh(host, "pkill -f [p]g_sleep || true")
    assert "pg_sleep" in str(sections["locks"].rows)
    assert "pg_sleep" in str(sections["slow queries"].rows)
