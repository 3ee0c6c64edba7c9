"""What the documented text of sshd does on a real host, one test an erratum.

Each test puts the documented text in force in the place of this project's file.
"""

from contextlib import contextmanager

import pytest

from connect_infra.document import load
from connect_infra.errors import TransportError
from connect_infra.transport import connect
from tests.lab.shell import sh

pytestmark = pytest.mark.long  # minutes on two cores; `make proofs` runs it

PATH = "/etc/ssh/sshd_config"
SHIPPED = "/usr/share/openssh/sshd_config"
"""The file that the package brings; the first thing in it is an Include of PATH.d."""

DOCUMENTED = "\n".join(f"{one.key} {one.documented}" for one in load().component("sshd"))
LOGIN = "sshd -T -C user=connect,host=h,addr=192.0.2.1"


@contextmanager
def in_force(host, text):
    """Another sshd_config, read by the running daemon, while the block runs."""
    sh(host, f"cp -p {PATH} /root/sshd.kept; cat > {PATH} <<'END'\n{text}\nEND\n"
             "systemctl reload ssh; sleep 1")  # fmt: skip
    try:
        yield
    finally:
        sh(host, f"cp -p /root/sshd.kept {PATH}; systemctl reload ssh; sleep 1")


def logs_in(host):
    """Whether user connect comes in with its key."""
    try:
        with connect(host.target()) as connection:
            return connection.run("id -un").stdout.strip() == "connect"
    except TransportError:
        return False


def test_protocol_is_read_and_means_nothing(host):
    banner = "timeout 3 nc 127.0.0.1 22 </dev/null || true"
    with in_force(host, DOCUMENTED.replace("Protocol 2", "Protocol 1") + "\nUsePAM yes"):
        assert sh(host, "sshd -t 2>&1") == "", "sshd says something about it"
        assert "protocol" not in sh(host, f"{LOGIN} 2>/dev/null").lower()
        assert sh(host, banner).startswith("SSH-2.0-")
    old = "printf 'SSH-1.5-old\\r\\n' | timeout 3 nc 127.0.0.1 22 || true"
    assert "Protocol major versions differ" in sh(host, old)


def test_a_drop_in_that_comes_first_wins(host):
    drop_in = f"{PATH}.d/50-cloud-init.conf"
    passwords = f"{LOGIN} 2>/dev/null | grep ^passwordauthentication"
    sh(host, f"mkdir -p {PATH}.d; echo 'PasswordAuthentication yes' > {drop_in}")
    try:
        assert sh(host, passwords) == "passwordauthentication no"
        with in_force(host, sh(host, f"cat {SHIPPED}") + "\n" + DOCUMENTED):
            assert sh(host, passwords) == "passwordauthentication yes"
    finally:
        sh(host, f"rm {drop_in}")


def test_as_the_whole_file_the_documented_text_locks_connect_out(host):
    shadow = "/etc/shadow"
    sh(host, f"cp -p {shadow} /root/shadow.kept; usermod -p '!' connect")  # as useradd makes it
    try:
        assert logs_in(host)
        with in_force(host, DOCUMENTED):
            assert not logs_in(host)
            said = sh(host, "journalctl -u ssh -n 20 --no-pager")
            assert "User connect not allowed because account is locked" in said
        with in_force(host, DOCUMENTED + "\nUsePAM yes\nKbdInteractiveAuthentication no"):
            assert logs_in(host)
    finally:
        sh(host, f"mv /root/shadow.kept {shadow}")


def test_without_a_subsystem_there_is_no_scp(host):
    key, login = "/root/scp-key", "-o StrictHostKeyChecking=no -o BatchMode=yes"
    copy = f"scp -i {key} {login} /etc/hostname connect@127.0.0.1:/tmp/copied 2>&1"
    keys = "/home/connect/.ssh/authorized_keys"
    sh(host, f"cp -p {keys} /root/keys.kept; rm -f {key}; ssh-keygen -q -t ed25519 -N '' -f {key};"
             f" cat {key}.pub >> {keys}")  # fmt: skip
    try:
        sh(host, copy)
        with in_force(host, DOCUMENTED + "\nUsePAM yes"):
            code, said = host.exec(copy)
        assert code != 0
        assert "subsystem request failed" in said
    finally:
        sh(host, f"cp -p /root/keys.kept {keys}; rm -f {key} {key}.pub /tmp/copied")
