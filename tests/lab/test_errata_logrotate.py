"""What the documented rotation of logs does on a real host, and what it does with its rules."""

import time

import pytest

from tests.lab.shell import sh

pytestmark = pytest.mark.long  # runs with the other errata, by `make proofs`

RULES = "/etc/logrotate.d/connect"
ROTATE = f"logrotate -f {RULES}"
LOG = "/opt/connect/shared/logs/error.log"
OPENED = "for pid in $(pgrep -u connect node); do readlink /proc/$pid/fd/*; done | grep error.log"


def test_the_documented_rotation_has_no_rules(host):
    shipped = sh(host, "cat /etc/logrotate.d/redis-server")
    assert "redis-server*.log" in shipped
    assert "redis-cache" not in shipped
    sh(host, f"mv {RULES} /root/rules.kept")
    try:
        code, said = host.exec(ROTATE)
    finally:
        sh(host, f"mv /root/rules.kept {RULES}")
    assert code != 0
    assert f"cannot stat {RULES}" in said


def test_what_is_logged_after_a_rotation_is_in_the_new_file(host):
    sh(host, f"echo before-the-rotation >> {LOG}; {ROTATE}")
    deadline = time.monotonic() + 10
    while host.exec(f"test -e {LOG}")[0] != 0:
        assert time.monotonic() < deadline, "PM2 has not opened its log again"
        time.sleep(0.3)
    rotated = sh(host, f"ls {LOG}-*")
    assert "before-the-rotation" in sh(host, f"cat {rotated}")
    assert rotated not in sh(host, OPENED)
    assert sh(host, f"stat -c %U {LOG}") == "connect"
    redis = "/var/log/redis/redis-cache.log"
    sh(host, "systemctl restart redis-cache; sleep 1")
    assert "Ready to accept connections" in sh(host, f"cat {redis}")
