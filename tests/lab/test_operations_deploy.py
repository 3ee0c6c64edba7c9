"""Deployments and rollbacks on a provisioned host while clients ask all the time."""

import json
import signal
import subprocess
import sys
import threading

import pytest

from connect_infra import operations
from connect_infra.errors import OperationError
from connect_infra.lab.release import build_release
from connect_infra.transport import connect
from tests.lab.operations import (
    SCRIPTS,
    STATE,
    current,
    fresh_backup,
    leftovers,
    locked,
    package,
    releases,
    script,
    source,
)
from tests.lab.shell import eventually, sh
from tests.lab.steady import steady

LOCK = f"{STATE}/lock"

long = pytest.mark.long  # minutes on two cores; `make proofs` runs it


@pytest.fixture(scope="module", autouse=True)
def _backup_of_today(host):
    fresh_backup(host)


PROMPT = 30.0
"""Seconds in which PM2 replaces all processes, one after the other: both versions answer."""


@pytest.fixture
def before(host):
    """The release that is current before the test; nothing lies about before or after it."""
    assert leftovers(host) == ""
    yield current(host)
    assert leftovers(host) == ""


def version(host):
    return sh(host, "cat /opt/connect/current/VERSION")


def assert_one_change(stream, old, new):
    assert [slot.problem or slot.status for slot in stream.failed()] == []
    seen = stream.versions()
    assert list(seen) == [old, new]
    mixed = seen[old][1] - seen[new][0]
    print(f"{len(stream.slots)} requests, none failed; both versions answered for {mixed:.1f} s")
    assert mixed < PROMPT


def test_a_deployment_fails_nobody_and_a_rollback_too(host, before, tmp_path):
    said = []
    old = version(host)
    built = build_release(tmp_path, "2.0.0")
    with connect(host.target()) as connection:
        with steady(host.target()) as stream:
            operations.deploy(connection, built, said.append)
        assert_one_change(stream, old, "2.0.0")
        assert version(host) == "2.0.0"
        with steady(host.target()) as stream:
            operations.rollback(connection, said.append)
        assert_one_change(stream, "2.0.0", old)
    assert current(host) == before
    assert any(line.startswith("done: version 2.0.0 is served") for line in said)
    assert sh(host, "ls /tmp/connect-* 2>/dev/null || true") == ""


def test_without_a_release_before_a_rollback_is_refused(host, before):
    code, said = script(host, "rollback.sh")
    assert code == 1
    assert f"no release was current before {before}" in said
    assert current(host) == before


CRASHES = {"server.js": b"throw new Error('this release is broken');"}
HANGS = {"server.js": b"setInterval(() => {}, 1000);"}
BROKEN = {
    "crashes": (CRASHES, "this release is broken"),
    "is another version": (
        source("lib/config.js", "version: version(root, env)", "version: 'something-else'"),
        "expected 200, healthy, version broken-",
    ),
    "fails its migration": (
        {"migrations/9999_broken.sql": b"CREATE TABLE half (); SELECT 1/0;"},
        "9999_broken failed and was rolled back: division by zero",
    ),
    "lacks a dependency": ({"node_modules/pg/package.json": None}, "Cannot find module"),
    "is no release": ({"server.js": None}, "the package has no server.js"),
    "hangs": (HANGS, "expected 200, healthy, version broken-"),
}


@pytest.mark.parametrize("name", [name if name == "crashes" else pytest.param(name, marks=long)
                                  for name in BROKEN])  # fmt: skip
def test_a_release_that_fails_is_never_switched_to(host, before, tmp_path, name):
    overlay, reason = BROKEN[name]
    had = releases(host)
    path = package(host, tmp_path, f"broken-{len(name)}", overlay)
    with steady(host.target()) as stream:
        code, said = script(host, "deploy.sh", path)
    assert code == 1, said
    assert reason in said
    assert stream.failed() == []
    assert len(stream.versions()) == 1
    assert (current(host), releases(host)) == (before, had)


@long
def test_dependencies_are_installed_from_a_lock_file(host, before, tmp_path):
    lock = locked()
    rotten = json.loads(lock["package-lock.json"])
    rotten["packages"]["node_modules/pg"]["integrity"] = f"sha512-{'A' * 86}=="
    path = package(host, tmp_path, "rot", lock | {"package-lock.json": json.dumps(rotten).encode()})
    code, said = script(host, "deploy.sh", path)
    assert code == 1
    assert "EINTEGRITY" in said, said
    assert "npm ci failed" in said
    assert current(host) == before

    code, said = script(host, "deploy.sh", package(host, tmp_path, "locked", lock))
    assert code == 0, said
    assert version(host) == "locked"
    sh(host, "test -e /opt/connect/current/node_modules/.package-lock.json")
    assert script(host, "rollback.sh")[0] == 0


@long
@pytest.mark.parametrize("damage", ["half of it", "no archive", "nothing"])
def test_a_damaged_package_is_refused(host, before, tmp_path, damage):
    had = releases(host)
    path = package(host, tmp_path, "damaged")
    sh(host, {"half of it": f"truncate -s 100000 {path}", "no archive": f"echo no > {path}",
              "nothing": f"rm {path}"}[damage])  # fmt: skip
    code, said = script(host, "deploy.sh", path)
    assert code == 1
    assert "error: " in said
    assert (current(host), releases(host)) == (before, had)


@pytest.fixture
def small_disk(host, before):
    """The current release on a disk of its own, which lacks the inodes for another one."""
    home = "/opt/connect/releases"
    sh(
        host,
        f"""
        cp -a {home}/{before} /root/kept-release
        inodes=$(find {home}/{before} | wc -l)
        mount -t tmpfs -o size=100m,nr_inodes=$((inodes * 16 / 10)) tmpfs {home}
        cp -a /root/kept-release {home}/{before}; chown connect: {home}""",
    )
    yield
    sh(host, f"umount {home}; rm -r /root/kept-release")


@long
def test_a_full_disk_is_survived(host, before, tmp_path, small_disk):
    had = releases(host)
    path = package(host, tmp_path, "too-big")
    with steady(host.target()) as stream:
        code, said = script(host, "deploy.sh", path)
    assert code == 1
    assert "No space left on device" in said
    assert stream.failed() == []
    assert (current(host), releases(host)) == (before, had)


@long
def test_a_disk_above_80_percent_is_refused(host, before, tmp_path, small_disk):
    path = package(host, tmp_path, "no-room")
    sh(host, "fallocate -l 85M /opt/connect/releases/ballast")
    code, said = script(host, "deploy.sh", path)
    sh(host, "rm /opt/connect/releases/ballast")
    assert code == 1
    assert "FAIL  disk" in said
    assert "the limit is 80" in said


@long
def test_two_at_once_the_second_is_refused(host, before, tmp_path):
    path = package(host, tmp_path, "twice")
    answers = []
    first = threading.Thread(target=lambda: answers.append(script(host, "deploy.sh", path)))
    first.start()
    try:
        sh(host, "until flock --nonblock --conflict-exit-code 9 /var/lib/connect-infra/releases/"
                 "lock true; [ $? -eq 9 ]; do sleep 0.05; done")  # fmt: skip
        for name in ("deploy.sh", "rollback.sh"):
            code, said = script(host, name, *([path] if name == "deploy.sh" else []))
            assert code == 1
            assert "another deployment or rollback is running" in said
    finally:
        first.join()
    assert answers[0][0] == 0, answers[0][1]
    assert script(host, "rollback.sh")[0] == 0


@long
def test_a_release_that_fails_only_under_pm2_is_taken_back(host, before, tmp_path):
    overlay = source("server.js", "async function main() {",
                     "async function main() {\n  if (process.send) process.exit(1);")  # fmt: skip
    path = package(host, tmp_path, "broken-under-pm2", overlay)
    had = releases(host)
    with steady(host.target()) as stream:
        code, said = script(host, "deploy.sh", path, limit=300)
    assert code == 1, said
    assert f"release {before} is current, as before" in said
    assert (current(host), releases(host)) == (before, had)
    bad = [slot.due for slot in stream.failed()]
    print(f"interrupted for {max(bad) - min(bad):.1f} s" if bad else "not interrupted")
    assert stream.versions().keys() - {""} == {version(host)}


KILLS = [("check:", 0.0), ("unpack:", 0.0), ("dependencies:", 0.05), ("migrate:", 0.3),
         ("trial:", 1.0), ("switch:", 0.0), ("switch:", 1.0), ("switch:", 3.0)]  # fmt: skip


@long
@pytest.mark.parametrize(("step", "later"), KILLS)
def test_a_killed_deployment_is_taken_back(host, before, tmp_path, step, later):
    path = package(host, tmp_path, "killed")
    had = releases(host)
    with steady(host.target()) as stream:
        said = sh(
            host,
            f"""
            {SCRIPTS}/deploy.sh {path} >/tmp/said 2>&1 &
            until grep -q '^{step}' /tmp/said; do sleep 0.02; done
            sleep {later}
            kill -9 $!
            until flock --nonblock {LOCK} true; do sleep 0.1; done
            cat /tmp/said""",
        )
        assert "done:" not in said
        code, said = script(host, "deploy.sh", "--recover")
    assert code == 0, said
    assert (current(host), releases(host)) == (before, had)
    assert stream.failed() == []


@long
def test_after_a_kill_the_next_deployment_cleans_up_and_works(host, before, tmp_path):
    path = package(host, tmp_path, "killed")
    following = package(host, tmp_path, "following")
    with steady(host.target()) as stream:
        sh(
            host,
            f"""
            {SCRIPTS}/deploy.sh {path} >/tmp/said 2>&1 &
            until grep -q '^switch:' /tmp/said; do sleep 0.02; done
            sleep 0.5
            kill -9 $!
            until flock --nonblock {LOCK} true; do sleep 0.1; done""",
        )
        assert script(host, "health-check.sh")[0] == 1
        code, said = script(host, "deploy.sh", following)
        assert code == 0, said
    assert "recover: an unfinished switch" in said
    assert stream.failed() == []
    assert version(host) == "following"
    assert script(host, "rollback.sh")[0] == 0
    assert current(host) == before


@long
def test_five_releases_are_kept_and_never_the_one_to_go_back_to_lost(host, before, tmp_path):
    path = package(host, tmp_path, "again")
    for _ in range(5):
        code, said = script(host, "deploy.sh", path)
        assert code == 0, said
    assert len(releases(host)) == 5
    assert before not in releases(host)
    for _ in range(4):
        assert script(host, "rollback.sh")[0] == 0
    oldest = current(host)
    assert oldest == min(releases(host))
    code, said = script(host, "rollback.sh")
    assert (code, "there is nothing to go back to" in said) == (1, True)
    code, said = script(host, "deploy.sh", path)
    assert code == 0, said
    assert len(releases(host)) == 5
    assert oldest in releases(host)
    assert script(host, "rollback.sh")[0] == 0
    assert current(host) == oldest


@pytest.fixture
def new_host(host, before):
    """As after the first apply: an empty release of 1970, PM2 without an application."""
    sh(
        host,
        f"""
        mv /opt/connect/releases /opt/connect/kept; mv {STATE}/history /root/history
        install -d -o connect -g connect /opt/connect/releases/1970-01-01T00-00-00
        ln -sfn releases/1970-01-01T00-00-00 /opt/connect/current
        systemctl restart connect""",
    )
    yield host
    sh(
        host,
        f"""
        rm -r /opt/connect/releases; mv /opt/connect/kept /opt/connect/releases
        ln -sfn releases/{before} /opt/connect/current; mv /root/history {STATE}/history
        systemctl restart connect""",
    )
    assert eventually(lambda: script(host, "health-check.sh")[0] == 0)


@long
def test_a_new_host_gets_its_first_release(new_host, tmp_path):
    broken = package(new_host, tmp_path, "broken", CRASHES)
    code, said = script(new_host, "deploy.sh", broken)
    assert code == 1, said
    assert releases(new_host) == {"1970-01-01T00-00-00"}
    code, said = script(new_host, "deploy.sh", package(new_host, tmp_path, "first"))
    assert code == 0, said
    assert version(new_host) == "first"
    code, said = script(new_host, "rollback.sh")
    assert (code, "there is nothing to go back to" in said) == (1, True)


@long
def test_whoever_leaves_finds_it_done_or_taken_back(host, before, tmp_path):
    """Ctrl-C while the new release is tried."""
    command = ["deploy", str(build_release(tmp_path, "left")), "--target", host.target_name]
    program = "from connect_infra.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, *command, "--yes"],
        stdout=subprocess.PIPE,
        text=True,
        # Where the tests themselves run in a shell's background, Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as cli:
        assert any("trial:" in line for line in cli.stdout)
        cli.send_signal(signal.SIGINT)
        assert cli.wait(30) != 0
    assert eventually(lambda: host.exec(f"flock --nonblock {LOCK} true")[0] == 0, 60)
    assert script(host, "health-check.sh")[0] == 0
    if current(host) != before:
        assert version(host) == "left"
        assert script(host, "rollback.sh")[0] == 0


@long
def test_what_the_host_refuses_is_one_line_with_its_own_words(host, before, tmp_path):
    built = build_release(tmp_path, "broken", CRASHES)
    with connect(host.target()) as connection, pytest.raises(OperationError) as refused:
        operations.deploy(connection, built, lambda line: None)
    assert "the release does not pass its health check" in str(refused.value)
    assert f"release {before} is current, as before" in str(refused.value)
