"""What document S's own statements do on a real Docker host, one test an erratum.

Single statements of its procedures are run on the host as they stand there, without the SSH around
them and with the stand-in's migration tool in Prisma's place.
"""

import json
import socket
import time

import pytest

from connect_infra.lab.release import build_release
from connect_infra.transport import connect
from connect_infra.web import Site
from tests.lab.containers import (
    COMPOSE,
    DOOR,
    FIRST,
    as_at_first,
    ask_haproxy,
    cluster,
    leader,
    sql,
    version_of,
    wait_for_containers,
)
from tests.lab.operations import package, script
from tests.lab.shell import eventually, sh

pytestmark = pytest.mark.long

PROJECT = f"cd /opt/connect && docker-compose -f {COMPOSE}"

TO_BACKUP = (
    "sed -i 's/server app1 connect_app1:3000 check/server app1 connect_app1:3000 check backup/' "
)
"""The documented edit that takes the traffic from app1."""

BACKUP_TO_ACTIVE = (
    "sed -i 's/server app2 connect_app2:3000 check backup/server app2 connect_app2:3000 check/' "
)

APART = "/root/errata"
"""A configuration of HAProxy beside the host's own."""


@pytest.fixture
def apart(docker_host):
    """A second HAProxy on the containers' network; it gets its command and mount from the test."""
    image = sh(docker_host, "docker inspect --format '{{.Config.Image}}' haproxy")
    sh(docker_host, f"""
        install -d {APART}
        sed -e '/ssl crt/d' -e '/server-state-file/d' -e '/load-server-state/d' \\
          -e 's|/var/run/haproxy/admin.sock|/tmp/admin.sock|' {DOOR} > {APART}/haproxy.cfg
        chmod 644 {APART}/haproxy.cfg""")  # fmt: skip

    def run(mount, command):
        sh(docker_host, f"docker run -d --name errata --network connect_connect {mount} {image} "
                        f"{command}")  # fmt: skip
        assert eventually(lambda: docker_host.exec(f"docker exec errata {ASK} info")[0] == 0)
        return docker_host

    yield run
    docker_host.exec("docker rm -f errata")
    sh(docker_host, f"rm -r {APART}")


ASK = "sh -c 'echo \"show $0\" | socat -t 2 - /tmp/admin.sock'"

FILE = f"-v {APART}/haproxy.cfg:/etc/haproxy/haproxy.cfg"
DIRECTORY = f"-v {APART}:/etc/haproxy"
MASTER = "haproxy -W -db -f /etc/haproxy/haproxy.cfg"


def backups_of(host):
    """Which servers the second HAProxy has as backups."""
    said = sh(host, f"docker exec errata {ASK} stat").splitlines()
    names = said[0].removeprefix("# ").split(",")
    rows = [dict(zip(names, line.split(","), strict=False)) for line in said[1:] if line]
    return {row["svname"]: row["bck"] == "1" for row in rows if row["svname"] in ("app1", "app2")}


# --- switching traffic ---------------------------------------------------------------------------


def test_an_edit_of_a_mounted_file_changes_nothing_and_succeeds(apart):
    host = apart(FILE, MASTER)
    path = "/etc/haproxy/haproxy.cfg"
    code, said = host.exec(
        f"""docker exec errata sh -c "
        {TO_BACKUP}{path}
        {BACKUP_TO_ACTIVE}{path}
        kill -HUP 1
        " """
    )
    assert code == 0, "the step failed, and would have been noticed"
    assert "Device or resource busy" in said
    assert not eventually(lambda: backups_of(host) != {"app1": False, "app2": True}, 4)


def test_two_rollbacks_in_a_row_write_backup_twice(apart):
    host = apart(DIRECTORY, MASTER)
    for _ in range(2):
        sh(host, f"{TO_BACKUP}{APART}/haproxy.cfg; {BACKUP_TO_ACTIVE}{APART}/haproxy.cfg")
    lines = sh(host, f"grep 'server app' {APART}/haproxy.cfg").splitlines()
    assert [line.strip() for line in lines] == [
        "server app1 connect_app1:3000 check backup backup",
        "server app2 connect_app2:3000 check",
    ]
    sh(host, "docker kill --signal HUP errata")
    assert eventually(lambda: backups_of(host) == {"app1": True, "app2": False})


def test_without_a_master_a_hangup_reloads_nothing(apart):
    host = apart(DIRECTORY, "haproxy -db -f /etc/haproxy/haproxy.cfg")
    sh(host, f"{TO_BACKUP}{APART}/haproxy.cfg; docker exec errata kill -HUP 1")
    assert not eventually(lambda: backups_of(host)["app1"], 4)


def test_restoring_the_balance_makes_both_active(apart):
    host = apart(DIRECTORY, MASTER)
    for edit in (TO_BACKUP, BACKUP_TO_ACTIVE, BACKUP_TO_ACTIVE.replace("app2", "app1")):
        sh(host, f"{edit}{APART}/haproxy.cfg")
    sh(host, "docker kill --signal HUP errata")
    assert eventually(lambda: backups_of(host) == {"app1": False, "app2": False})


def test_after_the_documented_deployment_the_other_colour_is_no_way_back(docker_host, tmp_path):
    path = package(docker_host, tmp_path, "both")
    try:
        for step in (("deploy.sh", path), ("confirm.sh",)):  # green, then blue: both run it
            code, said = script(docker_host, *step)
            assert code == 0, said
        ask_haproxy(docker_host, "set server connect/app1 state drain")
        answer = Site(docker_host.target()).ask("/api/health")
        assert json.loads(answer.body)["version"] == "both"
        ask_haproxy(docker_host, "set server connect/app1 state ready")
    finally:
        as_at_first(docker_host)


# --- build, upload, migration --------------------------------------------------------------------


@pytest.fixture
def uploaded(docker_host, tmp_path):
    """The image connect:uploaded as the documented upload leaves it, with one more migration."""
    overlay = {"migrations/0901_uploaded.sql": b"SELECT 1;"}
    built = build_release(tmp_path, "uploaded", overlay)
    with connect(docker_host.target()) as connection:
        connection.put("/root/connect-uploaded.tar.gz", built.read_bytes(), mode=0o600)
    sh(docker_host, """
        mkdir /root/context && cp /root/connect-uploaded.tar.gz /root/context
        sed 's/1\\.0\\.0/uploaded/' /opt/connect/build/connect/Dockerfile.production \\
          > /root/context/Dockerfile.production
        . /opt/connect/scripts/lib/settings.sh
        docker build -q --build-arg BASE=$NODE_IMAGE -t connect:uploaded \\
          -f /root/context/Dockerfile.production /root/context""", 300)  # fmt: skip
    yield docker_host
    sh(docker_host, "docker image rm -f connect:uploaded; rm -r /root/context /root/*.tar.gz")


def test_the_uploaded_image_is_never_run_and_the_gate_passes(uploaded):
    code, said = uploaded.exec(f"{PROJECT} up -d --no-deps --build app2 2>&1", 120)
    assert code == 0, said
    assert "up-to-date" in said
    assert version_of(uploaded, "app2") == FIRST
    health = sh(uploaded, "curl -s http://localhost:3001/api/health | jq -r .status")
    assert health == "healthy", "the documented gate would not have passed"


def test_migrations_in_app1_are_the_old_release_s(uploaded):
    said = sh(uploaded, "docker exec connect_app1 sh -c "
                        "'MIGRATE_DATABASE_URL=$DATABASE_URL node migrate.js'")  # fmt: skip
    assert "migrations are applied" in said
    names = sql(uploaded, "SELECT migration_name FROM _prisma_migrations")
    assert "0901_uploaded" not in names.split()


def test_the_migrations_table_has_no_such_columns(docker_host):
    code, said = docker_host.exec(
        'docker exec connect_postgres psql -U connect -c "SELECT version, applied_at '
        'FROM _prisma_migrations ORDER BY applied_at DESC LIMIT 5;"'
    )
    assert code == 1
    assert 'column "version" does not exist' in said


def test_an_unquoted_name_in_camel_case_is_no_column(docker_host):
    for statement in (
        "CREATE INDEX idx ON funding_matches(organizationId, score DESC);",
        "EXPLAIN ANALYZE SELECT * FROM funding_matches WHERE organizationId = 'xxx';",
    ):
        code, said = docker_host.exec(
            f'docker exec connect_postgres psql -U connect -c "{statement}"'
        )
        assert code == 1
        assert 'column "organizationid" does not exist' in said


# --- checks --------------------------------------------------------------------------------------


def test_the_check_by_address_meets_a_certificate_for_a_name(docker_host):
    address = docker_host.address
    # The lab's authority is trusted here, as a public one is by a server.
    authority = "--cacert /opt/connect/config/haproxy/certs/connect.pem"
    code, _ = docker_host.exec(f"curl -s {authority} https://{address}/api/health")
    assert code == 60
    health = sh(docker_host, f"curl -s {authority} https://{address}/api/health | jq -r .status")
    assert health == "", "the documented script calls this not healthy, and ends"


def test_the_homepage_s_check_can_t_fail(docker_host):
    code, said = docker_host.exec(
        'curl -s http://localhost:9/ | grep -q "Connect" || echo "Homepage check failed"'
    )
    assert (code, said.strip()) == (0, "Homepage check failed")


def test_redis_answers_a_ping_without_a_password_with_an_error_and_success(docker_host):
    code, said = docker_host.exec("docker exec connect_redis env -u REDISCLI_AUTH redis-cli ping")
    assert code == 0
    assert said.startswith("NOAUTH")


def test_a_question_without_a_terminal_ends_the_script_without_a_word(docker_host):
    code, said = docker_host.exec(
        "bash -c 'set -e; read -p \"Continue? (y/n) \" -n 1 -r; echo went on' </dev/null"
    )
    assert (code, said) == (1, "")


# --- rollback, restore, recovery -----------------------------------------------------------------


def test_a_full_rollback_to_previous_ends_with_both_apps_down(docker_host):
    try:
        code, said = docker_host.exec(
            f"set -e; {PROJECT} stop app1 app2; "
            "docker load < /opt/connect/images/connect-previous.tar.gz",
            120,
        )
        assert code != 0
        assert "connect-previous.tar.gz" in said
        assert eventually(lambda: Site(docker_host.target()).ask("/api/health").status == 503)
    finally:
        sh(docker_host, f"{PROJECT} start app1 app2")
        wait_for_containers(docker_host)


@pytest.fixture
def dump(docker_host):
    """A dump as the document restores it, and a table that it holds."""
    sql(docker_host, "DROP TABLE IF EXISTS errata; CREATE TABLE errata (n int PRIMARY KEY); "
                     "INSERT INTO errata VALUES (1), (2)")  # fmt: skip
    sh(docker_host, "docker exec connect_postgres pg_dump -U connect -t errata > /root/dump.sql")
    yield "/root/dump.sql"
    sql(docker_host, "DROP TABLE errata")
    sh(docker_host, "rm /root/dump.sql")


ROWS = "SELECT coalesce(string_agg(n::text, ' ' ORDER BY n), '') FROM errata"


def test_a_dump_restored_into_a_full_database_undoes_nothing_and_succeeds(docker_host, dump):
    sql(docker_host, "UPDATE errata SET n = 666 WHERE n = 2; INSERT INTO errata VALUES (3)")
    code, said = docker_host.exec(f"docker exec -i connect_postgres psql -U connect < {dump}")
    assert code == 0, "the documented restore failed, and would have been noticed"
    assert "already exists" in said
    assert sql(docker_host, ROWS) == "1 3 666"


def test_a_restore_without_i_reads_nothing_and_succeeds(docker_host, dump):
    sql(docker_host, "DELETE FROM errata")
    code, said = docker_host.exec(f"docker exec connect_postgres psql -U connect < {dump}")
    assert (code, said) == (0, "")
    assert sql(docker_host, ROWS) == ""


def test_without_the_backups_that_nothing_documented_makes_the_rollback_is_a_syntax_error(
    docker_host,
):
    """The applications are stopped by then."""
    sh(docker_host, "mkdir /root/dumps; mv /backups/postgres/*.sql /root/dumps/")
    try:
        code, newest = docker_host.exec("ls -t /backups/postgres/*.sql 2>/dev/null | head -1")
        assert (code, newest) == (0, "")
        restore = f"docker exec -i connect_postgres psql -U connect < {newest}"
        code, said = docker_host.exec(f"bash -c '{restore}'")
        assert code != 0
        assert "syntax error" in said
    finally:
        sh(docker_host, "mv /root/dumps/*.sql /backups/postgres/; rmdir /root/dumps")


def test_after_down_there_is_no_container_to_copy_redis_dump_into(docker_host):
    try:
        sh(docker_host, f"{PROJECT} down; touch /root/dump.rdb")
        sh(docker_host, f"{PROJECT} up -d postgres")
        code, said = docker_host.exec("docker cp /root/dump.rdb connect_redis:/data/ 2>&1")
        assert code != 0
        assert "no such directory" in said.lower() or "no such container" in said.lower()
        code, said = docker_host.exec("cd /root; docker-compose -f docker-compose.production.yml "
                                      "up -d postgres 2>&1")  # fmt: skip
        assert code != 0, "the documented step has no directory"
    finally:
        sh(docker_host, f"{PROJECT} up -d", 180)
        wait_for_containers(docker_host)


def test_a_dump_copied_into_a_running_redis_is_overwritten(docker_host):
    redis = "docker exec connect_redis redis-cli"
    sh(docker_host, f"""
        {redis} set errata kept; {redis} save
        docker cp connect_redis:/data/dump.rdb /root/dump.rdb
        {redis} set errata lost; {redis} save
        docker cp /root/dump.rdb connect_redis:/data/""")  # fmt: skip
    sh(docker_host, "docker restart connect_redis")
    wait_for_containers(docker_host)
    assert sh(docker_host, f"{redis} get errata") == "lost"
    sh(docker_host, f"{redis} del errata; rm /root/dump.rdb")


# --- the database's nodes ------------------------------------------------------------------------


def test_the_documented_commands_find_the_primary_wherever_it_is(docker_host):
    before = leader(docker_host)
    other = "patroni2" if before == "patroni1" else "patroni1"
    move = "docker exec {0} patronictl -c /etc/patroni/patroni.yml switchover --leader {0} " \
           "--candidate {1} --force connect"  # fmt: skip
    try:
        sh(docker_host, move.format(before, other))
        assert eventually(lambda: leader(docker_host) == other)
        # The node of before takes writes no longer, under whatever name it is called.
        write = (
            f"docker exec {before} psql -U postgres -d connect -c 'CREATE TABLE errata_moved ()'"
        )
        assert eventually(lambda: "read-only transaction" in docker_host.exec(write)[1])
        assert eventually(lambda: written(docker_host))
    finally:
        if leader(docker_host) == other:
            assert eventually(lambda: cluster(docker_host)[before][1] in ("streaming", "running"))
            sh(docker_host, move.format(other, before))
        wait_for_containers(docker_host)


@pytest.fixture
def failsafe(docker_host):
    """Turn Patroni's failsafe mode on and off; on at the end."""
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"

    def turn(on):
        value = json.dumps({"failsafe_mode": on})
        sh(docker_host, f"""
            . /opt/connect/.env
            address=$(docker inspect --format '{form}' patroni1)
            printf 'user = "patroni:%s"' "$PATRONI_PASSWORD" | curl -fsS -K - -X PATCH \\
              -d '{value}' http://$address:8008/config""")  # fmt: skip
        time.sleep(8)  # more than Patroni's loop_wait

    yield turn
    turn(True)


def written(host):
    """Whether a write by the documented command is taken now."""
    statement = "CREATE TABLE errata_written (); DROP TABLE errata_written"
    command = "docker exec connect_postgres timeout 5 psql -X -U connect -c"
    return host.exec(f"{command} '{statement}'")[0] == 0


def test_without_etcd_the_primary_steps_down_unless_it_may_go_on(docker_host, failsafe):
    try:
        failsafe(False)
        sh(docker_host, "docker stop etcd")
        assert eventually(lambda: not written(docker_host), 40)
        sh(docker_host, "docker start etcd")
        assert eventually(lambda: written(docker_host), 40)
        wait_for_containers(docker_host)
        failsafe(True)
        sh(docker_host, "docker stop etcd")
        assert not eventually(lambda: not written(docker_host), 30)
    finally:
        sh(docker_host, "docker start etcd")
        wait_for_containers(docker_host)
        assert eventually(lambda: written(docker_host), 40)


# --- security ------------------------------------------------------------------------------------


def test_what_docker_publishes_passes_by_ufw(docker_host):
    """Port 3100, where the document has Grafana; ufw lets no one in there."""
    image = sh(docker_host, "docker inspect --format '{{.Config.Image}}' haproxy")
    site = Site(docker_host.target())
    sh(docker_host, f"docker run -d --name published -p 3100:3100 {image} "
                    "socat TCP-LISTEN:3100,fork,reuseaddr SYSTEM:'echo open'")  # fmt: skip
    try:
        assert "3100" not in sh(docker_host, "ufw status")
        assert not reachable(site, 3100)
        sh(docker_host, "iptables -D DOCKER-USER -j DROP")
        assert eventually(lambda: reachable(site, 3100), 5)
    finally:
        sh(docker_host, "docker rm -f published; systemctl restart connect-docker-user")
    assert not reachable(site, 3100)


def reachable(site, port):
    with socket.socket() as client:
        client.settimeout(1.5)
        return client.connect_ex((site.address, port)) == 0


def test_the_documented_edit_leaves_a_commented_line_a_comment(docker_host):
    path = "/root/sshd_config"
    edit = 'sed -i "s/PasswordAuthentication yes/PasswordAuthentication no/"'
    sh(docker_host, f"echo '#PasswordAuthentication yes' > {path}; {edit} {path}")
    shown = sh(docker_host, f"/usr/sbin/sshd -T -f {path} | grep -i ^passwordauthentication")
    assert shown == "passwordauthentication yes"
    sh(docker_host, f"rm {path}")


def test_the_documented_columns_of_df_survive_the_quotes(docker_host):
    code, said = docker_host.exec(
        """bash -c 'df -h /opt/connect | tail -1 | awk "{print \\$5}"' | sed 's/%//'"""
    )
    assert code == 0
    assert said.strip().isdigit()
