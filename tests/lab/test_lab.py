"""The lab itself: it boots, lets in who may come in, shuts out the rest, and leaves nothing."""

import os
import subprocess
import sys
import time
from pathlib import Path

import docker
import pytest

from connect_infra.errors import (
    AuthenticationRefused,
    HostKeyMismatch,
    HostUnreachable,
    InventoryError,
    LabError,
)
from connect_infra.lab import Lab, engine, image
from connect_infra.lab.hosts import LABEL
from connect_infra.targets import load_inventory
from connect_infra.transport import connect

CLI = Path(sys.executable).with_name("connect-infra")
IDENTITY = "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub"


@pytest.fixture(scope="module")
def machine(lab):
    """A bare host for the tests that only look."""
    host = lab.up("machine")
    yield host
    host.remove()


def run(host, script):
    code, output = host.exec(script)
    assert code == 0, output
    return output.strip()


def reach(host, address, port):
    """Whether one host reaches another address: "reached", or what it met instead."""
    script = f"import socket; socket.create_connection(('{address}', {port}), 2); print('reached')"
    return host.exec(f'python3 -c "{script}" 2>&1')[1].splitlines()[-1]


def is_running(target):
    with connect(target) as connection:
        return connection.run("systemctl is-system-running").stdout.strip() == "running"


def test_a_host_boots_and_lets_its_user_in(machine):
    with connect(machine.target()) as connection:
        assert connection.run("systemctl is-system-running").stdout.strip() == "running"
        assert connection.run("id -un").stdout.strip() == "connect"
        assert connection.run("id -un", sudo=True).stdout.strip() == "root"


def test_a_host_has_nothing_provisioned(machine):
    _, output = machine.exec("dpkg-query -W -f '${Package}\\n' postgresql-15 redis-server 2>&1")
    assert output.count("no packages found") == 2


def test_a_host_cannot_leave_its_network(machine):
    assert "reached" not in reach(machine, "192.0.2.1", 80)


def test_a_host_installs_from_its_own_archive_only(machine):
    printed = run(machine, "apt-get install --print-uris -qq --no-install-recommends postgresql-15")
    assert "file:/opt/connect-archive/" in printed
    assert "http" not in run(machine, "apt-get indextargets --format '$(URI)'")
    installable = "apt-get install --simulate -qq --no-install-recommends "
    assert "Inst pgbackrest" in run(machine, installable + " ".join(image.packages()))


def test_a_host_keeps_nothing_of_the_machine_that_built_it(machine):
    """No key of its own from the image, none of the machine's accounts for apt or npm."""
    run(machine, 'test -z "$(ls /etc/apt/auth.conf.d)" && test ! -e /root/.npmrc')
    made = int(run(machine, "stat -c %W /etc/ssh/ssh_host_ed25519_key"))
    assert made >= machine.lab.client.images.get(image.tag()).history()[-1]["Created"]


def test_a_host_has_the_lab_s_limits(machine):
    assert run(machine, "bash -c 'ulimit -Hn'") == "20000"
    assert machine.container.attrs["HostConfig"]["Memory"] == machine.target().memory == 8 << 30


def test_another_key_is_refused(machine, tmp_path):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with pytest.raises(AuthenticationRefused, match="authorized_keys"):
        connect(machine.target().model_copy(update={"key": key}))


def test_another_host_key_is_refused(machine, tmp_path):
    target = machine.target()
    other = tmp_path / "known_hosts"
    public = machine.lab.state.joinpath("id_ed25519.pub").read_text().split()[:2]
    other.write_text(f"{target.host} {' '.join(public)}\n")
    with pytest.raises(HostKeyMismatch, match=r"another .*key"):
        connect(target.model_copy(update={"known_hosts": other}))
    other.write_text("")
    with pytest.raises(HostKeyMismatch, match="not in it"):
        connect(target.model_copy(update={"known_hosts": other}))


def test_the_lab_s_files_are_for_their_owner_only(machine):
    state = machine.lab.state
    modes = {state / name: 0o600 for name in ("id_ed25519", "secrets.toml")} | {state: 0o700}
    assert {path: path.stat().st_mode & 0o777 for path in modes} == modes


def test_hosts_side_by_side_know_each_other_by_name(lab, machine):
    other = lab.up("other")
    try:
        assert run(other, "getent hosts machine").split()[0] == machine.address
        assert load_inventory(None).target("lab-other").host == other.address
        assert reach(other, "machine", 22) == "reached"
    finally:
        other.remove()


def test_a_host_that_is_gone_is_unreachable_and_no_target(lab):
    host = lab.up("gone")
    target = host.target()
    host.remove()
    with pytest.raises(HostUnreachable, match="the host is up"):
        connect(target)
    with pytest.raises(InventoryError, match="connect-infra lab up"):
        load_inventory(None).target("lab-gone")


def test_a_host_comes_back_from_a_reboot_and_from_a_kill(bare_host):
    marker = "/home/connect/marker"
    run(bare_host, f"touch {marker} && sync")
    for outage in (bare_host.reboot, lambda: (bare_host.kill(), bare_host.start())):
        before = run(bare_host, "stat -c %Y /run/systemd")
        outage()
        run(bare_host, f"ls {marker}")
        assert is_running(load_inventory(None).target("lab-bare"))
        assert run(bare_host, "stat -c %Y /run/systemd") != before


def test_a_failed_unit_is_named(bare_host):
    unit = "[Service]\\nExecStart=/bin/false\\n[Install]\\nWantedBy=multi-user.target\\n"
    run(bare_host, f"printf '{unit}' >/etc/systemd/system/broken.service")
    run(bare_host, "systemctl enable broken.service")
    with pytest.raises(LabError, match=r"failed units: broken\.service"):
        bare_host.reboot()


def test_a_snapshot_boots_with_an_identity_of_its_own(lab):
    seed = lab.up("seed-of-a-test")
    run(seed, "echo kept >/opt/marker")
    identity = run(seed, IDENTITY)
    tag = lab.snapshot(seed, "test")
    try:
        host = lab.up("copy", lab.find_snapshot("test"))
        assert run(host, "cat /opt/marker") == "kept"
        assert not set(identity.splitlines()) & set(run(host, IDENTITY).splitlines())
        assert is_running(host.target())
        host.remove()
    finally:
        lab.client.images.remove(tag, force=True)
    assert lab.find_snapshot("test") is None


def test_labs_are_shut_off_from_each_other_and_down_leaves_nothing(tmp_path, monkeypatch, machine):
    monkeypatch.setenv("CONNECT_INFRA_STATE", str(tmp_path / "state"))
    own = Lab()
    first = own.up("main")
    assert reach(first, first.address, 22) == "reached"
    assert "timed out" in reach(machine, first.address, 22)
    container = first.container.id
    assert own.id != machine.lab.id
    own.down()
    assert own.hosts() == []
    assert own.client.networks.list(names=[own.network_name]) == []
    assert list(Path("/sys/fs/cgroup").glob(f"*/docker/{container}")) == []
    assert not (own.state / "lab-target.toml").exists()
    own.down()
    assert is_running(machine.target())


def test_down_keeps_base_images_that_another_lab_uses(tmp_path, monkeypatch, machine):
    monkeypatch.setenv("CONNECT_INFRA_STATE", str(tmp_path / "state"))
    said = []
    Lab(said.append).down(images=True)
    assert "another lab" in said[0]
    assert machine.lab.client.images.get(image.tag())


def test_without_an_engine_it_says_so_in_one_line(tmp_path):
    environment = {
        **os.environ,
        "DOCKER_HOST": f"unix://{tmp_path}/none.sock",
        "CONNECT_INFRA_STATE": str(tmp_path),
    }
    for command in ("up", "status", "down"):
        done = subprocess.run(
            [CLI, "lab", command], capture_output=True, text=True, env=environment, timeout=30
        )
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "expected a Docker engine that answers" in done.stderr


def test_an_engine_that_does_not_let_us_in_is_not_started_again(lab, tmp_path):
    os.seteuid(65534)
    try:
        with pytest.raises(LabError, match="permission denied; run as root or join the group"):
            engine.ensure(tmp_path, print)
    finally:
        os.seteuid(0)


BUILD = """
import docker
from connect_infra.lab import image
image.tag = lambda: {tag!r}
image.ensure(docker.from_env(), lambda message: print(message, flush=True))
"""


def start_build(directory, tag):
    return subprocess.Popen(
        [sys.executable, "-c", BUILD.format(tag=tag)],
        env={**os.environ, "TMPDIR": str(directory)},
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_build_in_debootstrap(directory, tag):
    build = start_build(directory, tag)
    until = time.monotonic() + 60
    while not list(directory.glob("connect-infra-image-*/root/debootstrap")):
        assert build.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)
    build.kill()
    build.communicate()


def test_a_build_without_room_does_not_begin(lab, tmp_path, monkeypatch):
    monkeypatch.setattr(image, "tag", lambda: f"{image.REPOSITORY}:none")
    monkeypatch.setattr(image, "BUILD_BYTES", 2**60)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(image.tempfile, "tempdir", None)
    with pytest.raises(LabError, match=r"free to build in.*GiB.*TMPDIR"):
        image.ensure(lab.client, print)
    assert [path.name for path in tmp_path.iterdir()] == ["connect-infra-image.lock"]


def users_of(directory):
    """Command lines and mounts that name the directory."""
    mounts = Path("/proc/mounts").read_text().splitlines()
    commands = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    return [line for line in [*mounts, *commands.splitlines()] if str(directory) in line]


def test_a_killed_build_leaves_nothing_in_use(lab, tmp_path):
    tag = f"{image.REPOSITORY}:killed"
    kill_build_in_debootstrap(tmp_path, tag)
    until = time.monotonic() + 5
    while users_of(tmp_path) and time.monotonic() < until:
        time.sleep(0.1)
    assert users_of(tmp_path) == []
    with pytest.raises(docker.errors.ImageNotFound):
        lab.client.images.get(tag)


@pytest.mark.long
def test_the_build_after_a_killed_one_succeeds(lab, tmp_path):
    tag = f"{image.REPOSITORY}:again"
    kill_build_in_debootstrap(tmp_path, tag)
    build = start_build(tmp_path, tag)
    build.communicate(timeout=400)
    try:
        assert build.returncode == 0
        assert [path.name for path in tmp_path.iterdir()] == ["connect-infra-image.lock"]
        host = lab.up("again", tag)
        assert is_running(host.target())
        host.remove()
    finally:
        lab.client.images.remove(tag, force=True)


def test_what_a_killed_copy_of_a_snapshot_has_left_is_removed(tmp_path, monkeypatch, machine):
    monkeypatch.setenv("CONNECT_INFRA_STATE", str(tmp_path))
    other = Lab()
    volume = other.client.volumes.create("snapshot-of-nobody", labels={LABEL: other.id})
    mount = {volume.name: {"bind": "/to"}}
    left = other.client.containers.create(image.tag(), ["true"], volumes=mount)
    other.down(images=True)
    for gone in (lambda: other.client.volumes.get(volume.name), left.reload):
        with pytest.raises(docker.errors.NotFound):
            gone()
