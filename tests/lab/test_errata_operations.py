"""What the documented procedures (document A, 4.2, 7 and 8) do on a real host, one test an erratum.

Commands are the document's; where they would touch the running platform they run in a directory of
their own.
"""

import pytest

from tests.lab.operations import sh

pytestmark = pytest.mark.long  # minutes on two cores; `make proofs` runs it

BASE = "/tmp/errata-operations"
AS = (
    "cd /tmp && runuser -u connect -- env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/home/connect "
    f"PM2_HOME={BASE}/home"
)
POOL = "PGCONNECT_TIMEOUT=5 psql -XAtq -h localhost -p 6432 -U connect -d connect"
ENVIRONMENT = "/opt/connect/shared/config/.env.production"
PASSWORD = f"PGPASSWORD=$(sed -n 's|^DATABASE_URL=.*:\\(.*\\)@.*|\\1|p' {ENVIRONMENT})"
SERVER = """
const { PORT, SOCKET_PATH } = process.env;
require("http").createServer((request, response) => response.end("here"))
  .listen(Number(PORT) || SOCKET_PATH);
process.on("SIGINT", () => process.exit(0));
"""
ECOSYSTEM = """
module.exports = { apps: [{ name: "connect", script: "./server.js", instances: 1,
  exec_mode: "cluster", env: { PORT: 0, SOCKET_PATH: "BASE/socket" } }] };
"""


@pytest.fixture
def base(host):
    """A directory for the test, which user connect may write."""
    sh(host, f"install -d -o connect -g connect {BASE}")
    yield BASE
    sh(host, f"{AS} pm2 kill >/dev/null 2>&1 || true; rm -rf {BASE}")


def put(host, path, text):
    sh(
        host,
        f"mkdir -p $(dirname {path}); cat > {path} <<'END'\n{text}\nEND\nchown connect: {path}",
    )


def test_migrations_get_no_password(host):
    code, said = host.exec(f"{POOL} -w -c 'SELECT 1'")
    assert code != 0
    assert "no password supplied" in said


def test_a_lock_taken_through_the_pool_outlives_its_client(host):
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    direct = "cd / && runuser -u postgres -- psql -XAtq -d connect -c"
    assert sh(host, f'{direct} "{locks}"') == "0"
    try:
        sh(host, f"{PASSWORD} {POOL} -c 'SELECT pg_advisory_lock(72707369)'")
        assert sh(host, f'{direct} "{locks}"') == "1"
    finally:
        sh(host, "systemctl restart pgbouncer")


def test_the_health_gate_never_listens_on_its_port(host, base):
    """With another port: this project's metrics listen on 3001."""
    put(host, f"{base}/server.js", SERVER)
    put(host, f"{base}/ecosystem.config.js", ECOSYSTEM.replace("BASE", base))
    start = "pm2 start ecosystem.config.js --name health-check"
    sh(host, f"{AS} PORT=3901 sh -c 'cd {base} && {start}'")
    asked = f"curl -s --retry 10 --retry-connrefused --unix-socket {base}/socket http://localhost/"
    assert sh(host, asked) == "here"
    code, _ = host.exec("curl -f http://localhost:3901/api/health")
    assert code == 7
    assert '"name":"health-check"' not in sh(host, f"{AS} pm2 jlist --silent")


def test_the_final_check_passes_with_a_dead_application(host):
    sh(host, "systemctl stop connect")
    try:
        code, said = host.exec("curl -f http://localhost/api/health")
        status = sh(host, 'curl -s -o /dev/null -w "%{http_code}" http://localhost/api/health')
    finally:
        sh(host, "systemctl start connect")
    assert code == 0
    assert "301 Moved Permanently" in said
    assert status == "301", "so the health check calls every application dead, too"


RELEASES = "\n".join(f"mkdir -p releases/{n}; touch -d '2024-01-0{n}' releases/{n}"
                     for n in range(1, 8))  # fmt: skip


def test_the_documented_rollback_goes_back_once_and_the_clean_up_deletes_current(host, base):
    previous = "$(ls -t releases | head -n2 | tail -n1)"
    switch = f"ln -sfn {base}/releases/{previous} current; basename $(readlink current)"
    sh(host, f"cd {base}; {RELEASES}; ln -s {base}/releases/7 current")
    assert sh(host, f"cd {base}; {switch}") == "6"
    assert sh(host, f"cd {base}; {switch}") == "6", "a second rollback goes nowhere"
    sh(host, f"cd {base}; ln -sfn {base}/releases/2 current")
    sh(host, f"cd {base}/releases; ls -t | tail -n +6 | xargs -r rm -rf")
    assert host.exec(f"ls {base}/current/")[0] != 0, "current was deleted"
    sh(host, f"cd {base}; rm -r releases; mkdir -p releases/only")
    sh(host, f"cd {base}; ln -sfn {base}/releases/only current")
    assert sh(host, f"cd {base}; {switch}") == "only", "with one release it stays where it is"


def test_ln_sfn_replaces_a_link_in_one_step(host, base):
    put(host, f"{base}/watch.py", f"""
import os, subprocess
worker = subprocess.Popen(["sh", "-c",
    "for n in $(seq 300); do ln -sfn a {base}/link; ln -sfn b {base}/link; done"])
seen = set()
while worker.poll() is None:
    seen.add(os.readlink("{base}/link"))
print(*sorted(seen))""")  # fmt: skip
    assert sh(host, f"ln -sfn a {base}/link; python3 {base}/watch.py") == "a b"


BACKUP = """
mkdir -p $BACKUP_DIR/$BACKUP_DATE
cp -r $CONFIG $BACKUP_DIR/$BACKUP_DATE/
cd $BACKUP_DIR
tar -czf connect_system_$BACKUP_DATE.tar.gz $BACKUP_DATE/
rm -rf $BACKUP_DATE/
"""


def test_the_documented_recovery_does_not_find_what_the_backup_kept(host, base):
    where = f"BACKUP_DIR={base}/system BACKUP_DATE=20241215_103000 CONFIG={base}/config"
    sh(host, f"mkdir {base}/config; echo SECRET=1 > {base}/config/.env.production; "
             f"echo a > {base}/config/ecosystem.config.js; export {where}; {BACKUP}")  # fmt: skip
    unpack = f"cd {base}/system; tar -xzf connect_system_20241215_103000.tar.gz"
    directory = "$(basename connect_system_20241215_103000.tar.gz .tar.gz)"
    code, said = host.exec(f"{unpack}; mkdir restored; cp -r {directory}/config/* restored/")
    assert code != 0
    assert "connect_system_20241215_103000/config/*': No such file or directory" in said
    sh(host, f"cd {base}/system; cp -r 20241215_103000/config/* restored/")
    assert sh(host, f"ls -A {base}/system/restored") == "ecosystem.config.js", "no secrets"


def test_documented_backups_lie_on_the_disk_that_they_protect(host):
    devices = sh(host, "stat -c %d /opt/connect/backup /var/lib/postgresql/15/main /opt/connect")
    assert len(set(devices.split())) == 1


def test_the_package_can_not_be_made_as_written(host, base):
    made = "tar -czf package.tar.gz server.js --exclude=node_modules"
    code, said = host.exec(f"cd {base}; echo > server.js; {made}")
    assert code != 0
    assert "--exclude" in said


def test_two_packages_in_tmp_and_nothing_is_unpacked(host, base):
    sh(host, f"cd {base}; echo > server.js; for n in 1 2; do tar -czf connect-$n.tar.gz server.js; "
             "done; mkdir release")  # fmt: skip
    code, said = host.exec(f"cd {base}/release; tar -xzf {base}/connect-*.tar.gz")
    assert code != 0
    assert f"{base}/connect-2.tar.gz: Not found in archive".removeprefix("/") in said
    assert sh(host, f"ls {base}/release") == ""


def test_the_logs_are_rotated_by_a_file_that_is_nowhere(host):
    sh(host, "mv /etc/logrotate.d/connect /root/kept")
    try:
        code, said = host.exec("logrotate -f /etc/logrotate.d/connect")
    finally:
        sh(host, "mv /root/kept /etc/logrotate.d/connect")
    assert code != 0
    assert "No such file or directory" in said


def test_the_applications_errors_are_never_counted(host, base):
    put(host, f"{base}/server.js", "console.error('broken'); setInterval(() => {}, 1000);")
    log = f"{base}/error.log"
    sh(host, f"{AS} pm2 start {base}/server.js --name x --time --error {log} >/dev/null")
    sh(host, f"for second in $(seq 5); do grep -q broken {log} && break; sleep 1; done")
    assert "broken" in sh(host, f"cat {log}")
    documented = "grep \"$(date '+%Y-%m-%d %H')\" | wc -l"
    assert sh(host, f"tail -100 {log} | {documented}") == "0"


def test_user_connect_can_not_read_the_backups_state(host):
    code, said = host.exec("cd / && runuser -u connect -- pgbackrest info --stanza=connect")
    assert code != 0
    assert "Permission denied" in said
