"""The lab itself: it boots, lets in who may come in, shuts out the rest, and leaves nothing."""

import subprocess

import pytest

from connect_infra.errors import AuthenticationRefused, HostKeyMismatch, HostUnreachable
from connect_infra.lab import Lab
from connect_infra.transport import connect


def test_a_host_boots_and_lets_its_user_in(bare_host):
    with connect(bare_host.target()) as connection:
        assert connection.run("systemctl is-system-running").stdout.strip() == "running"
        assert connection.run("id -un").stdout.strip() == "connect"
        assert connection.run("id -un", sudo=True).stdout.strip() == "root"


def test_a_host_has_nothing_provisioned(bare_host):
    _, output = bare_host.exec("dpkg-query -W -f '${Package}\\n' postgresql-15 redis-server 2>&1")
    assert output.count("no packages found") == 2


def test_a_host_cannot_leave_its_network(bare_host):
    probe = "import socket; s = socket.socket(); s.settimeout(2); s.connect(('192.0.2.1', 80))"
    code, output = bare_host.exec(f'python3 -c "{probe}"')
    assert code != 0
    assert "rror" in output


def test_another_key_is_refused(bare_host, tmp_path):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with pytest.raises(AuthenticationRefused, match="authorized_keys"):
        connect(bare_host.target().model_copy(update={"key": key}))


def test_another_host_key_is_refused(bare_host, tmp_path):
    target = bare_host.target()
    other = tmp_path / "known_hosts"
    public = bare_host.lab.state.joinpath("id_ed25519.pub").read_text().split()[:2]
    other.write_text(f"{target.host} {' '.join(public)}\n")
    with pytest.raises(HostKeyMismatch, match="another key"):
        connect(target.model_copy(update={"known_hosts": other}))
    other.write_text("")
    with pytest.raises(HostKeyMismatch, match="not in it"):
        connect(target.model_copy(update={"known_hosts": other}))


def test_a_host_that_is_gone_is_unreachable(lab):
    host = lab.up("gone")
    target = host.target()
    host.remove()
    with pytest.raises(HostUnreachable, match="the host is up"):
        connect(target)


def test_a_reboot_comes_back(bare_host):
    marker = "/home/connect/marker"
    bare_host.exec(f"touch {marker}")
    _, before = bare_host.exec("stat -c %Y /run/systemd")
    bare_host.reboot()
    assert bare_host.exec(f"ls {marker}")[0] == 0
    with connect(bare_host.target()) as connection:
        assert connection.run("systemctl is-system-running").stdout.strip() == "running"
    assert bare_host.exec("stat -c %Y /run/systemd")[1] != before


def test_down_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("CONNECT_INFRA_STATE", str(tmp_path / "state"))
    own = Lab()
    host = own.up("main")
    other = own.up("other")
    assert host.address != other.address
    assert len(own.hosts()) == 2
    own.down()
    assert own.hosts() == []
    assert own.client.networks.list(names=[own.network_name]) == []
