"""Blue-green deployments, rollbacks and confirmations on a Docker host under steady requests."""

import re
import subprocess
import sys
import threading
import time

import pytest

from connect_infra.lab.release import build_release
from tests.lab.containers import FIRST, as_at_first, serving, sql, version_of, wait_for_containers
from tests.lab.operations import SCRIPTS, package, script, source
from tests.lab.shell import eventually, sh
from tests.lab.steady import steady

pytestmark = pytest.mark.long

INSTANT = 5.0
"""Seconds: document S, instant rollback time."""

FULL = 30.0
"""Seconds: document S, full rollback time."""

HEALTHY = 60.0
"""Seconds within which a colour must be healthy: document S, 30 x 2 s."""

CRASHES = {"server.js": b"throw new Error('this release is broken');"}

LOCK = "/opt/connect/state/lock"


@pytest.fixture
def first(docker_host):
    """Both colours run the first release, app1 serves; nothing lies about before or after."""
    as_at_first(docker_host)
    yield docker_host
    as_at_first(docker_host)
    assert leftovers(docker_host) == ""


def leftovers(host):
    return sh(host, "ls -d /opt/connect/build/.release-* /opt/connect/images/*.new 2>/dev/null || "
                    "ls /tmp/connect-* 2>/dev/null || true")  # fmt: skip


def cli(*arguments):
    """Run connect-infra as a person does; its exit code and what it said."""
    program = "from connect_infra.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments, "--target", "lab-containers", "--yes"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def assert_nobody_noticed(stream, versions):
    """No request failed, and the version changed as often as it had to, each time once."""
    assert [slot.problem or slot.status for slot in stream.failed()] == []
    assert list(stream.versions()) == versions
    print(f"{len(stream.slots)} requests, none failed, versions {', '.join(versions)}")


def assert_changed_once(stream, old, new):
    assert_nobody_noticed(stream, [old, new])
    seen = stream.versions()
    mixed = seen[old][1] - seen[new][0]
    print(f"both versions answered for {max(0.0, mixed):.2f} s")
    assert mixed < 1.0


def test_a_release_is_deployed_rolled_back_and_confirmed_and_nobody_notices(first, tmp_path):
    built = build_release(tmp_path, "2.0.0")
    target = first.target()
    with steady(target) as stream:
        code, said = cli("deploy", str(built))
    assert code == 0, said
    assert_changed_once(stream, FIRST, "2.0.0")
    assert (serving(first), version_of(first, "app2"), version_of(first, "app1")) == (
        "app2", "2.0.0", FIRST,
    )  # fmt: skip

    with steady(target) as stream:
        before = time.monotonic()
        code, said = cli("rollback")
        took = time.monotonic() - before
    assert code == 0, said
    print(f"instant rollback: {took:.1f} s with the command's own start; {said.strip()}")
    assert_changed_once(stream, "2.0.0", FIRST)
    own = int(re.search(r"(\d+) ms after the start", said)[1]) / 1000
    assert own < INSTANT
    assert serving(first) == "app1"

    with steady(target) as stream:
        code, said = cli("rollback")  # and forth again: the release was good
        assert code == 0, said
        code, said = cli("confirm")
    assert code == 0, said
    assert_changed_once(stream, FIRST, "2.0.0")
    assert [version_of(first, app) for app in ("app1", "app2")] == ["2.0.0", "2.0.0"]
    assert serving(first) == "app1"


def test_without_another_release_an_instant_rollback_is_refused(first):
    code, said = cli("rollback")
    assert code == 1
    assert f"both colours run version {FIRST}" in said


def test_a_full_rollback_needs_no_downtime(first, tmp_path):
    target = first.target()
    code, said = cli("deploy", str(build_release(tmp_path, "2.1.0")))
    assert code == 0, said
    code, said = cli("confirm")
    assert code == 0, said
    with steady(target) as stream:
        before = time.monotonic()
        code, said = cli("rollback", "--to", "previous")
        took = time.monotonic() - before
    assert code == 0, said
    print(f"full rollback: {took:.1f} s")
    assert_changed_once(stream, "2.1.0", FIRST)
    assert took < FULL


def test_a_full_rollback_to_what_is_not_there_is_refused(first):
    code, said = cli("rollback", "--to", "9.9.9")
    assert code == 1
    assert "there is no saved image /opt/connect/images/connect-9.9.9.tar.gz" in said


BROKEN = {
    "crashes": (CRASHES, "was not healthy as version broken within 60 s"),
    "is another version": (
        source("lib/config.js", "version: version(root, env)", "version: 'something-else'"),
        "was not healthy as version broken within 60 s",
    ),
    "fails its migration": (
        {"migrations/9999_broken.sql": b"CREATE TABLE half (); SELECT 1/0;"},
        "9999_broken failed and was rolled back: division by zero",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_release_that_fails_is_never_switched_to(first, tmp_path, name):
    overlay, reason = BROKEN[name]
    built = build_release(tmp_path, "broken", overlay)
    with steady(first.target()) as stream:
        code, said = cli("deploy", str(built))
    assert code == 1, said
    assert reason in said
    assert_nobody_noticed(stream, [FIRST])
    assert [version_of(first, app) for app in ("app1", "app2")] == [FIRST, FIRST]
    assert serving(first) == "app1"


@pytest.mark.parametrize("damage", ["half of it", "no archive"])
def test_a_damaged_package_is_refused(first, tmp_path, damage):
    path = package(first, tmp_path, "damaged")
    sh(
        first,
        {"half of it": f"truncate -s 100000 {path}", "no archive": f"echo no > {path}"}[damage],
    )
    code, said = script(first, "deploy.sh", path)
    assert code == 1
    assert "error: " in said
    assert [version_of(first, app) for app in ("app1", "app2")] == [FIRST, FIRST]


def test_every_attempt_leaves_a_record_of_the_checklists(first, tmp_path):
    code, said = cli("deploy", str(build_release(tmp_path, "recorded")))
    assert code == 0, said
    record = sh(first, "cat $(ls /opt/connect/state/deployments/*-recorded.txt | tail -1)")
    lines = record.splitlines()
    assert len(lines) == 8 + 7 + 8
    done = [line for line in lines if line.startswith("[x]")]
    assert len(done) == 1 + 5 + 4
    assert any(line.startswith("[x] during: Traffic switched") for line in lines)
    assert "[ ] before: Code review approved (a person's)" in lines
    code, said = cli("confirm")
    assert code == 0, said
    record = sh(
        first, "cat $(ls /opt/connect/state/deployments/*-recorded-confirmed.txt | tail -1)"
    )
    assert "[x] during: Both containers active" in record


def test_without_a_backup_of_today_nothing_is_deployed(first, tmp_path):
    sh(first, "touch -h -d '3 days ago' /backups/postgres/*.sql; touch -d '3 days ago' "
              "/backups/postgres/*.sql")  # fmt: skip
    code, said = cli("deploy", str(build_release(tmp_path, "unprotected")))
    sh(first, "touch /backups/postgres/*.sql")
    assert code == 1
    assert "there is no backup of today" in said


def test_migrations_are_the_new_release_s_and_recorded(first, tmp_path):
    overlay = {"migrations/0900_mark.sql": b"CREATE TABLE IF NOT EXISTS mark (); DROP TABLE mark;"}
    code, said = cli("deploy", str(build_release(tmp_path, "migrates", overlay)))
    assert code == 0, said
    names = sql(
        first, "SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL"
    )
    assert "0900_mark" in names.split()


def test_two_at_once_the_second_is_refused(first, tmp_path):
    path = package(first, tmp_path, "twice")
    answers = []
    one = threading.Thread(target=lambda: answers.append(script(first, "deploy.sh", path)))
    one.start()
    try:
        sh(first, f"until ! flock --nonblock {LOCK} true; do sleep 0.05; done")
        for name in ("deploy.sh", "rollback.sh", "confirm.sh", "rollback-full.sh"):
            code, said = script(first, name, *([path] if name == "deploy.sh" else []))
            assert code == 1
            assert "another deployment or rollback is under way" in said
    finally:
        one.join()
    assert answers[0][0] == 0, answers[0][1]


KILLS = [("build:", 0.0), ("migrate:", 0.0), ("start:", 0.1), ("start:", 2.0), ("switch:", 0.0)]


@pytest.mark.parametrize(("step", "later"), KILLS)
def test_after_a_kill_traffic_flows_and_the_next_deployment_works(first, tmp_path, step, later):
    path = package(first, tmp_path, "killed")
    with steady(first.target()) as stream:
        said = sh(
            first,
            f"""
            setsid {SCRIPTS}/deploy.sh {path} >/tmp/said 2>&1 &
            until grep -q '^{step}' /tmp/said; do sleep 0.02; done
            sleep {later}
            kill -9 -- -$!
            cat /tmp/said""",
        )
        assert "done:" not in said
        assert eventually(lambda: first.exec(f"flock --nonblock {LOCK} true")[0] == 0)
        code, said = script(first, "deploy.sh", package(first, tmp_path, "following"))
        assert code == 0, said
    assert stream.failed() == []
    assert list(stream.versions())[-1] == "following"
    sh(first, "docker image rm --force connect:killed >/dev/null 2>&1 || true")


def test_the_colour_that_serves_outlives_haproxy_and_the_host(first, tmp_path):
    code, said = cli("deploy", str(build_release(tmp_path, "2.2.0")))
    assert code == 0, said
    assert serving(first) == "app2"
    sh(first, "docker restart haproxy")
    wait_for_containers(first)
    assert serving(first) == "app2"
    sh(first, "docker exec haproxy kill -HUP 1; sleep 2")
    assert serving(first) == "app2"
    first.reboot()
    wait_for_containers(first)
    assert eventually(lambda: serving(first) == "app2")


PLUGIN = r"""#!/bin/sh
if [ "$1" = docker-cli-plugin-metadata ]; then
  echo '{"SchemaVersion": "0.1.0", "Vendor": "the lab", "Version": "v2"}'
  exit
fi
shift
echo "$*" >>/root/asked
exec docker-compose "$@"
"""
"""Debian's Compose v1 as a plugin of the engine: v2 is in no package that the lab can install."""


@pytest.fixture
def plugin(first):
    home = "/root/.docker/cli-plugins"
    sh(first, f"mkdir -p {home}; rm -f /root/asked; cat > {home}/docker-compose <<'END'\n"
              f"{PLUGIN}END\nchmod 755 {home}/docker-compose; docker compose version")  # fmt: skip
    yield first
    sh(first, f"rm -r {home} /root/asked")


def test_where_docker_compose_answers_it_is_used(plugin, tmp_path):
    code, said = script(plugin, "deploy.sh", package(plugin, tmp_path, "by-plugin"))
    assert code == 0, said
    assert version_of(plugin, serving(plugin)) == "by-plugin"
    assert "up -d --no-deps app2" in sh(plugin, "cat /root/asked")
