"""What the documented text of fail2ban does on a real host, one test an erratum.

Each test takes away what this project adds, so that only the documented text is in force.
"""

import time
from contextlib import contextmanager

import pytest

from tests.lab.shell import sh

pytestmark = pytest.mark.long  # minutes on two cores; `make proofs` runs it

HOME = "/etc/fail2ban"
FILTERS = ("nginx-req-limit", "nginx-noscript", "nginx-badbots")
LOGS = "/var/log/nginx/access.log /var/log/nginx/error.log"
PONG = "Server replied: pong"
STATE = "systemctl is-active fail2ban || true"
RESTART = "systemctl reset-failed fail2ban; systemctl restart fail2ban"


def eventually(host, script, wanted, limit=20.0):
    """What a script says in the end: `wanted`, or else what it says when the time is up."""
    deadline = time.monotonic() + limit
    while (said := host.exec(script)[1].strip()) != wanted and time.monotonic() < deadline:
        time.sleep(0.3)
    return said


@contextmanager
def changed(host, change, back):
    """fail2ban, started again after a change to the host; all is back after the block."""
    sh(host, change)
    try:
        host.exec(RESTART)
        yield
    finally:
        sh(host, back)
        sh(host, RESTART)
        answers(host)


def answers(host):
    """The server runs; it answers somewhat later than its unit is active."""
    assert eventually(host, "fail2ban-client ping", PONG) == PONG


def failures(host, jail, at_least=0):
    """How many failures a jail has counted, once it has counted so many; itself it never counts."""
    count = f"fail2ban-client status {jail} | sed -n 's/.*Total failed:[^0-9]*//p'"
    deadline = time.monotonic() + 10
    while (found := int(sh(host, count))) < at_least and time.monotonic() < deadline:
        time.sleep(0.3)
    return found


def request_of_a_script(number):
    """What nginx logs when a stranger asks for a script, as a line for a shell to complete."""
    when = "$(date '+%d/%b/%Y:%H:%M:%S %z')"
    return f'192.0.2.{number} - - [{when}] \\"GET /x.php HTTP/1.1\\" 301 1 \\"-\\" \\"-\\" \\"-\\"'


def test_no_package_has_the_filters_and_their_jails_do_not_run(host):
    shipped = sh(host, "dpkg -L fail2ban | sed -n 's|.*/filter.d/||p'").splitlines()
    assert "sshd.conf" in shipped
    assert not {f"{name}.conf" for name in FILTERS} & set(shipped)
    paths = " ".join(f"{HOME}/filter.d/{name}.conf" for name in FILTERS)
    kept = " ".join(f"/root/filters/{name}.conf" for name in FILTERS)
    change = f"mkdir -p /root/filters; mv {paths} /root/filters/"
    with changed(host, change, f"mv {kept} {HOME}/filter.d/"):
        answers(host)
        assert sh(host, "systemctl is-active fail2ban") == "active"
        assert "Jail list:\tsshd" in sh(host, "fail2ban-client status")
        for name in FILTERS:
            assert host.exec(f"fail2ban-client status {name}")[0] != 0, f"{name} runs"
        code, said = host.exec("fail2ban-client -t 2>&1")
        assert code != 0
        assert "Unable to read the filter" in said


def test_sshd_is_watched_without_an_auth_log(host):
    assert host.exec("ls /var/log/auth.log")[0] != 0, "this host writes an auth.log"
    status = sh(host, "fail2ban-client status sshd")
    assert "Journal matches" in status
    assert "File list" not in status
    before = failures(host, "sshd")
    # A line of the journal whose writer is called sshd; from this host itself none is counted.
    sh(
        host,
        "cp /usr/bin/logger /tmp/sshd; /tmp/sshd -t sshd 'Invalid user x from 192.0.2.1 port 1'",
    )
    assert failures(host, "sshd", before + 1) == before + 1


def test_without_pythons_systemd_nothing_starts(host):
    library = "/usr/lib/python3/dist-packages/systemd"
    assert "python3-systemd" not in sh(host, "dpkg-query -W -f '${Depends}' fail2ban")
    with changed(host, f"mv {library} /root/systemd.kept", f"mv /root/systemd.kept {library}"):
        assert eventually(host, STATE, "failed") == "failed"
        assert "No module named 'systemd'" in sh(host, "tail -n 20 /var/log/fail2ban.log")


def test_the_default_backend_makes_nginx_jails_read_the_journal(host):
    jail, log = "nginx-noscript", "/var/log/nginx/access.log"
    before = failures(host, jail)
    sh(host, f'echo "{request_of_a_script(1)}" >> {log}')
    assert failures(host, jail, before + 1) == before + 1
    local = f"{HOME}/jail.local"
    edit = f"cp -p {local} /root/jail.kept; sed -i '/^backend = auto/d' {local}"
    with changed(host, edit, f"mv /root/jail.kept {local}"):
        answers(host)
        assert "Journal matches" in sh(host, f"fail2ban-client status {jail}")
        sh(host, f'echo "{request_of_a_script(2)}" >> {log}; sleep 3')
        assert failures(host, jail) == 0, "the log was read"


def test_a_log_that_is_not_there_yet_takes_the_server_down(host):
    drop_in = "/etc/systemd/system/fail2ban.service.d/logs.conf"
    change = (
        f"mkdir -p /root/logs; mv {drop_in} /root/logs.conf; mv {LOGS} /root/logs/; "
        "systemctl daemon-reload"
    )
    back = f"mv /root/logs.conf {drop_in}; mv /root/logs/* /var/log/nginx/; systemctl daemon-reload"
    with changed(host, change, back):
        assert eventually(host, STATE, "failed") == "failed"
        assert "Have not found any log file" in host.exec("fail2ban-client -t 2>&1")[1]
