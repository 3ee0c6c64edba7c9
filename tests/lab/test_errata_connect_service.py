"""What the documented connect.service does on a real host, one test an erratum.

Each test takes away what this project adds, so that only the documented text is in force.
"""

from contextlib import contextmanager

import pytest

from tests.lab.shell import eventually, sh

pytestmark = pytest.mark.long  # minutes on two cores; `make proofs` runs it

UNIT = "connect.service"
DROP_INS = f"/etc/systemd/system/{UNIT}.d"
HEALTHY = "curl -sf --unix-socket /run/connect.sock http://localhost/api/health"
LISTEN = 'require("net").createServer().listen(process.argv[1], () => process.exit(0))'
CONNECT = 'require("net").connect(process.argv[1], () => process.exit(0))'
KEEP_LISTENING = 'require("net").createServer().listen(process.argv[1])'


def healthy(host):
    return host.exec(HEALTHY)[0] == 0


@contextmanager
def with_lines(host, *lines):
    """The service with more lines in its unit, restarted if it can be, while the block runs."""
    text = "\\n".join(("[Service]", *lines))
    sh(host, f"printf '{text}\\n' > {DROP_INS}/zz-errata.conf; systemctl daemon-reload")
    try:
        host.exec(f"systemctl restart {UNIT}", 90)
        yield
    finally:
        sh(host, f"rm {DROP_INS}/zz-errata.conf; systemctl daemon-reload")
        sh(host, f"systemctl reset-failed {UNIT}; systemctl restart {UNIT}")
        assert eventually(lambda: healthy(host))


def test_protect_home_true_hides_pm2_home(host):
    with with_lines(host, "ProtectHome=true", "BindPaths=/home/connect/.pm2"):
        said = sh(host, f"journalctl -q -o cat -n 60 -u {UNIT}")
        assert not healthy(host)
    assert "EACCES: permission denied" in said
    assert "/home/connect/.pm2" in said


def test_the_user_may_not_make_the_documented_socket(host):
    sh(host, "mv /run/connect.sock /run/kept.sock")
    try:
        code, said = host.exec(f"runuser -u connect -- node -e '{LISTEN}' /run/connect.sock")
    finally:
        sh(host, "mv /run/kept.sock /run/connect.sock")
    assert code != 0
    assert "EACCES: permission denied /run/connect.sock" in said


def test_nginx_may_not_connect_to_a_socket_of_the_usual_mode(host):
    directory = "/run/errata"
    sh(host, f"install -d -o connect -g connect {directory}")
    try:
        for place, mask, works in ((directory, "022", False), ("/run/connect", "002", True)):
            path = f"{place}/errata.sock"
            listen = f"umask {mask}; exec node -e \\'{KEEP_LISTENING}\\' {path}".replace("\\'", "'")
            sh(host, f"runuser -u connect -- sh -c '{quoted(listen)}' >/dev/null 2>&1 &\nsleep 1")
            code, said = host.exec(f"runuser -u www-data -- node -e '{CONNECT}' {path}")
            sh(host, f"pkill -f '^node -e .*{path}'; rm -f {path}")
            assert (code == 0) is works, said
            assert works or "EACCES" in said
    finally:
        sh(host, f"rm -rf {directory}")


def quoted(script):
    """A script for use between single quotes."""
    return script.replace("'", "'\\''")


def test_systemd_finds_pm2_without_a_pid_file(host):
    main = f"systemctl show --value -p MainPID {UNIT}"
    own = "cat /home/connect/.pm2/pm2.pid"
    assert sh(host, f"systemctl show --value -p PIDFile {UNIT}") == ""
    before = sh(host, own)
    assert sh(host, main) == before
    sh(host, f"kill -KILL {before}")
    assert eventually(lambda: healthy(host) and sh(host, main) not in {"0", before})
    assert sh(host, main) == sh(host, own)


def test_resurrect_without_a_saved_list_starts_no_application(host):
    with with_lines(host, "ExecStartPost="):
        assert sh(host, f"systemctl is-active {UNIT}") == "active"
        assert not healthy(host)


def test_reload_finds_no_ecosystem_file(host):
    with with_lines(host, "WorkingDirectory=/", "ExecStartPost="):
        code, _ = host.exec(f"systemctl reload {UNIT}")
        said = sh(host, f"journalctl -q -o cat -n 20 -u {UNIT}")
    assert code != 0
    assert "File ecosystem.config.js not found" in said


def test_the_documented_order_leaves_out_pgbouncer(host):
    documented = f"/etc/systemd/system/{UNIT}"
    order = sh(host, f"grep ^After= {documented}")
    assert "postgresql.service" in order
    assert "pgbouncer.service" not in order
    assert "pgbouncer.service" in sh(host, f"systemctl show --value -p After {UNIT}").split()
