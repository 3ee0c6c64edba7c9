"""Plan and apply on a real host, from bare: what they do, what they refuse, what they survive."""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import provisioning
from connect_infra.errors import ApplyError, PlanError
from connect_infra.transport import connect
from provisioning.resources import File

pytestmark = pytest.mark.long  # minutes on two cores; `make proofs` runs it

CLI = (Path(sys.executable).with_name("connect-infra"),)
SERVICES = ("postgresql@15-main", "pgbouncer", "redis-cache", "redis-queue", "cron")
SETTINGS = "/etc/postgresql/15/main/conf.d/90-connect.conf"
POOL = "/etc/pgbouncer/pgbouncer.ini"
CACHE = "/etc/redis/redis-cache.conf"
QUEUE_UNIT = "/etc/systemd/system/redis-queue.service"
DATA_LAYER = {
    *("host", "layout", "pgbackrest", "postgresql", "pgbouncer"),
    *("redis-cache", "redis-queue", "cron.pgbackrest"),
}
PSQL = "cd / && runuser -u postgres -- psql -XAtq -d postgres -c"


def cli(*arguments, typed=""):
    return subprocess.run(
        [*CLI, *arguments], input=typed, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def provisioned(host):
    """The host, as wanted before the test and after it."""
    yield host
    assert plan_of(host).changes == ()


def data_layer(host):
    """What is wanted of these services; the others have tests of their own."""
    wanted = provisioning.wanted(host.target())
    return tuple(component for component in wanted if component.name in DATA_LAYER)


def plan_of(host):
    wanted = data_layer(host)
    with connect(host.target()) as connection:
        return provisioning.diff(wanted, provisioning.observe(connection, wanted))


def apply_to(host, components=None):
    said = []
    wanted = components or data_layer(host)
    with connect(host.target()) as connection:
        plan = provisioning.diff(wanted, provisioning.observe(connection, wanted))
        provisioning.apply(connection, plan, wanted, said.append)
    return said


def run(host, script):
    code, output = host.exec(script)
    assert code == 0, output
    return output.strip()


def pids(host):
    show = "systemctl show --value --property=MainPID"
    return {name: run(host, f"{show} {name}") for name in SERVICES}


def patched(host, name, path, old, new, **changes):
    """What is wanted, with one file of one component changed."""

    def change(resource):
        if not isinstance(resource, File) or resource.path != path:
            return resource
        assert old in resource.content
        return dataclasses.replace(resource, content=resource.content.replace(old, new))

    return tuple(
        dataclasses.replace(component, resources=tuple(map(change, component.resources)), **changes)
        if component.name == name
        else component
        for component in data_layer(host)
    )


def test_on_a_bare_host_the_plan_lists_everything_and_shows_no_secret(bare_host):
    answer = cli("plan", f"--target={bare_host.target_name}", "--diff")
    assert answer.returncode == 2, answer.stderr
    for line in ("+ package postgresql-15", f"+ file {SETTINGS}", "+max_connections = '200'"):
        assert line in answer.stdout
    secrets = provisioning.load_secrets(bare_host.target()).values()
    assert [value for value in secrets if value in answer.stdout] == []


def test_after_an_apply_from_bare_the_plan_is_empty_also_after_a_boot(host):
    # The host was applied from bare, kept as a snapshot and booted from it.
    answer = cli("plan", f"--target={host.target_name}")
    assert answer.stdout.strip() == "nothing to do"
    assert answer.returncode == 0
    assert "0" not in pids(host).values()


def test_with_nothing_to_do_apply_looks_once(provisioned):
    with connect(provisioned.target()) as connection:
        wanted = provisioning.wanted(provisioned.target())
        plan = provisioning.diff(wanted, provisioning.observe(connection, wanted))
        provisioning.apply(connection, plan, wanted, print)
        assert connection.round_trips == 1


def test_nothing_is_changed_without_a_terminal_and_without_yes(provisioned):
    run(provisioned, "chmod 600 /etc/cron.d/pgbackrest")
    answer = cli("apply", f"--target={provisioned.target_name}")
    assert answer.returncode == 1
    assert "give --yes" in answer.stderr
    assert run(provisioned, "stat -c %a /etc/cron.d/pgbackrest") == "600"
    apply_to(provisioned)


def test_only_the_service_that_was_changed_by_hand_is_restarted(provisioned):
    before = pids(provisioned)
    run(provisioned, f"sed -i 's/^maxmemory .*/maxmemory 1mb/' {CACHE}")
    assert [change.resource for change in plan_of(provisioned).changes] == [f"file {CACHE}"]
    apply_to(provisioned)
    touched = {name for name, pid in pids(provisioned).items() if before[name] != pid}
    assert touched == {"redis-cache"}


BY_HAND = {
    "directory /opt/connect/shared/uploads": "chown root /opt/connect/shared/uploads",
    f"file {SETTINGS}": f"rm {SETTINGS}",
    "ensure server runs with its files": f"{PSQL} \"ALTER SYSTEM SET work_mem = '9MB'\"",
    "ensure no role or database overrides": f"{PSQL} \"ALTER ROLE connect SET work_mem = '9MB'\"",
    "ensure role connect": f"{PSQL} \"ALTER ROLE connect SUPERUSER PASSWORD 'x'\"",
    f"file {POOL}": f"chmod 644 {POOL} && echo 'query_timeout = 9' >> {POOL}",
    "unit pgbouncer.service": "systemctl disable pgbouncer",
    "unit redis-queue.service": "systemctl stop redis-queue",
    "ensure redis-queue runs with its file": "true",
    "file /etc/cron.d/pgbackrest": "rm /etc/cron.d/pgbackrest",
}
"""What somebody does, by what the plan must then name."""


def test_every_change_by_hand_is_named_and_undone_without_a_needless_restart(provisioned):
    before = pids(provisioned)
    for script in BY_HAND.values():
        run(provisioned, script)
    run(provisioned, f"{PSQL} 'SELECT pg_reload_conf()'")
    assert {change.resource for change in plan_of(provisioned).changes} == set(BY_HAND)
    apply_to(provisioned)
    touched = {name for name, pid in pids(provisioned).items() if before[name] != pid}
    assert touched == {"redis-queue"}, "a reload was enough for the others"


def test_a_value_set_at_run_time_is_undone_without_a_restart(provisioned):
    before = pids(provisioned)
    secret = provisioning.load_secrets(provisioned.target())["REDIS_CACHE_PASSWORD"]
    with connect(provisioned.target()) as connection:
        script = "REDISCLI_AUTH=$(cat) redis-cli CONFIG SET maxmemory-policy volatile-ttl"
        assert connection.run(script, stdin=secret.encode()).stdout.strip() == "OK"
    assert [change.component for change in plan_of(provisioned).changes] == ["redis-cache"]
    apply_to(provisioned)
    assert pids(provisioned) == before


BROKEN = [
    ("pgbouncer", POOL, b"= transaction", b"= sometimes", 'invalid value "sometimes"'),
    ("redis-cache", CACHE, b"allkeys-lru", b"sometimes", "'maxmemory-policy sometimes'"),
    ("postgresql", SETTINGS, b"= '200'", b"= 'lots'", 'invalid value for parameter "max_conn'),
    ("postgresql", SETTINGS, b"wal_level = ", b"wall_level = ", "wall_level"),
    ("postgresql", "/etc/postgresql/15/main/pg_hba.conf", b"peer", b"pear", 'method "pear"'),
    ("pgbackrest", "/etc/pgbackrest/pgbackrest.conf", b"=posix", b"=paper", "'paper' is not"),
]


@pytest.mark.parametrize(("component", "path", "old", "new", "said"), BROKEN)
def test_a_broken_configuration_is_refused_in_the_services_own_words(
    provisioned, component, path, old, new, said
):
    before, content = pids(provisioned), run(provisioned, f"sha256sum {path}")
    with pytest.raises(ApplyError, match="what was there before is in use again") as refusal:
        apply_to(provisioned, patched(provisioned, component, path, old, new))
    assert said in str(refusal.value)
    assert run(provisioned, f"sha256sum {path}") == content
    if "pg_hba" not in path:  # its checker is the server: the old rules come back by a restart
        assert pids(provisioned) == before


UNSTARTABLE = [
    ("redis-queue", QUEUE_UNIT, b"bin/redis-server", b"bin/redis-servant", "redis-servant"),
    (
        "postgresql",
        SETTINGS,
        b"# Written",
        b"shared_preload_libraries = 'none'\n# Written",
        '"none"',
    ),
]


@pytest.mark.parametrize(("component", "path", "old", "new", "said"), UNSTARTABLE)
def test_a_service_that_does_not_start_gets_its_old_files_back(
    provisioned, component, path, old, new, said
):
    content = run(provisioned, f"sha256sum {path}")
    with pytest.raises(ApplyError, match="what was there before is in use again") as refusal:
        apply_to(provisioned, patched(provisioned, component, path, old, new))
    assert said in str(refusal.value)
    assert run(provisioned, f"sha256sum {path}") == content
    assert "0" not in pids(provisioned).values()


SLEEPER = """
import dataclasses, sys
sys.path.insert(0, sys.argv[1])
import provisioning
from connect_infra.targets import load_inventory
from connect_infra.transport import connect
target = load_inventory(None).target(sys.argv[2])
wanted = tuple(
    dataclasses.replace(c, verify="touch /run/here; sleep 120") if c.name == "redis-cache" else c
    for c in provisioning.wanted(target) if c.name in sys.argv[3].split()
)
with connect(target) as connection:
    plan = provisioning.diff(wanted, provisioning.observe(connection, wanted))
    provisioning.apply(connection, plan, wanted, print)
"""


@pytest.fixture
def under_way(provisioned, request):
    """An apply in a process of its own that has changed a file and waits for the service."""
    run(provisioned, f"rm -f /run/here; sed -i 's/^maxmemory .*/maxmemory 1mb/' {CACHE}")
    root = str(request.config.rootpath)
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, root, provisioned.target_name, " ".join(DATA_LAYER)]
    )
    deadline = time.monotonic() + 30
    while provisioned.exec("test -e /run/here")[0] != 0:
        assert time.monotonic() < deadline, "the apply did not get there"
        time.sleep(0.1)
    yield process
    process.kill()
    process.wait()


def test_a_second_apply_is_refused_and_a_killed_one_is_finished_by_the_next(provisioned, under_way):
    with pytest.raises(ApplyError, match=f"no other apply .* process {under_way.pid} "):
        apply_to(provisioned)
    under_way.kill()
    under_way.wait()
    run(provisioned, "pkill -9 -x sudo; pkill -9 -x python3; pkill -9 -x sleep; true")
    changes = [change.resource for change in plan_of(provisioned).changes]
    assert changes == ["activate redis-cache"]
    apply_to(provisioned)


def test_a_full_disk_is_said_so_and_changes_nothing(provisioned):
    run(provisioned, "chmod 600 /etc/cron.d/pgbackrest")
    full = "mount -t tmpfs -o size=4k full /var/lib/connect-infra"
    run(provisioned, f"{full} && head -c 4096 /dev/zero > /var/lib/connect-infra/filler || true")
    with pytest.raises(ApplyError, match="no space left for /var/lib/connect-infra"):
        apply_to(provisioned)
    assert run(provisioned, "stat -c %a /etc/cron.d/pgbackrest") == "600"
    run(provisioned, "umount /var/lib/connect-infra")
    apply_to(provisioned)


def test_a_saved_plan_is_refused_once_the_host_has_changed(provisioned, tmp_path):
    target, file = f"--target={provisioned.target_name}", tmp_path / "plan.json"
    run(provisioned, "chmod 600 /etc/cron.d/pgbackrest")
    assert cli("plan", target, f"--out={file}").returncode == 2
    assert json.loads(file.read_text())["changes"]
    run(provisioned, "chmod 640 /etc/cron.d/pgbackrest")
    answer = cli("apply", target, "--yes", f"--plan={file}")
    assert answer.returncode == 1
    assert "the host has changed since" in answer.stderr
    assert run(provisioned, "stat -c %a /etc/cron.d/pgbackrest") == "640"
    assert cli("plan", target, f"--out={file}").returncode == 2
    assert cli("apply", target, "--yes", f"--plan={file}").returncode == 0


def test_a_host_that_changes_while_its_plan_is_read_is_left_alone(provisioned):
    wanted = provisioning.wanted(provisioned.target())
    run(provisioned, "chmod 600 /etc/cron.d/pgbackrest")
    with connect(provisioned.target()) as connection:
        plan = provisioning.diff(wanted, provisioning.observe(connection, wanted))
        run(provisioned, "chmod 640 /etc/cron.d/pgbackrest")
        with pytest.raises(PlanError, match="the host has changed since"):
            provisioning.apply(connection, plan, wanted, print)
    assert run(provisioned, "stat -c %a /etc/cron.d/pgbackrest") == "640"
    apply_to(provisioned)


def test_no_secret_is_in_the_servers_log(provisioned):
    secrets = provisioning.load_secrets(provisioned.target())
    logs = run(provisioned, "cat /var/log/postgresql/*.log; journalctl --no-pager -q")
    assert "connection authorized" in logs
    assert [name for name, value in secrets.items() if value in logs] == []
    assert "SCRAM-SHA-256$" not in logs


INVENTORY = """
[targets.live]
host = "{host}"
key = "{key}"
known_hosts = "{known_hosts}"
secrets = "{secrets}"
sizing = "scaled"
memory = "{memory}"
production = true
"""


@pytest.mark.parametrize("typed", ["", "yes\n", "lab\n"])
def test_in_production_the_name_of_the_target_must_be_typed_even_with_yes(
    provisioned, tmp_path, typed
):
    target = provisioned.target().model_dump()
    (tmp_path / "inventory.toml").write_text(INVENTORY.format(**target))
    answer = cli(
        "apply", "--target=live", "--yes", f"--inventory={tmp_path}/inventory.toml", typed=typed
    )
    assert answer.returncode == 1
    assert "live is in production" in answer.stdout + answer.stderr
    assert "file /etc/sysctl.d/60-connect.conf" in answer.stdout
    assert provisioned.exec("test -e /etc/sysctl.d/60-connect.conf")[0] == 1
