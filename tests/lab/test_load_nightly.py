"""The nightly run's systemd units on a host: sound, due at night, and loud when a run fails."""

import datetime
from pathlib import Path

import pytest

from connect_infra.lab.image import file_in_tar
from tests.lab.shell import sh

NIGHTLY = Path(__file__).resolve().parents[2] / "loadtests" / "nightly"
SERVICE, TIMER = "connect-infra-load.service", "connect-infra-load.timer"
PROGRAM = "/opt/connect-infra/.venv/bin/connect-infra"
KEPT = "/var/lib/connect-infra/load"

STAND_IN = f"""#!/bin/sh
set -eu
test "$CONNECT_LOAD_PASSWORD" = secret
test "$(ulimit -n)" = 20000
echo "$@" > "$CONNECT_INFRA_LOAD/asked"
exit "$(cat {KEPT}/answer)"
"""
"""In the command's place: a run takes twelve minutes and a staging server."""


@pytest.fixture(scope="module")
def nightly(lab):
    """A host that is set up as docs/load.md says."""
    host = lab.up("nightly")
    for unit in (SERVICE, TIMER):
        content = (NIGHTLY / unit).read_bytes()
        host.container.put_archive("/etc/systemd/system", file_in_tar(unit, content, 0o644))
    sh(host, f"mkdir -p {Path(PROGRAM).parent} /etc/connect-infra")
    program = file_in_tar(Path(PROGRAM).name, STAND_IN.encode(), 0o755)
    host.container.put_archive(str(Path(PROGRAM).parent), program)
    sh(
        host,
        """
useradd --system connect-infra
(umask 077; echo CONNECT_LOAD_PASSWORD=secret > /etc/connect-infra/load.env)
systemctl daemon-reload
""",
    )
    yield host
    host.remove()


@pytest.mark.parametrize("unit", [SERVICE, TIMER])
def test_systemd_finds_nothing_wrong(nightly, unit):
    code, said = nightly.exec(f"systemd-analyze verify --man=no /etc/systemd/system/{unit}")
    assert (code, said.strip()) == (0, "")


def test_the_timer_is_due_at_three_at_night(nightly):
    sh(nightly, f"systemctl enable --now {TIMER}")
    due = sh(nightly, f'date +%FT%T -d "$(systemctl show -P NextElapseUSecRealtime {TIMER})"')
    moment = datetime.datetime.fromisoformat(due)
    assert datetime.time(3, 0) <= moment.time() <= datetime.time(3, 10)
    assert sh(nightly, f"systemctl show -P Unit {TIMER}") == SERVICE
    assert sh(nightly, f"systemctl is-active {SERVICE} || true") == "inactive"


@pytest.mark.parametrize(("answer", "result"), [(0, "success"), (1, "exit-code"), (2, "exit-code")])
def test_a_run_that_is_not_met_is_a_failed_unit(nightly, answer, result):
    sh(nightly, f"mkdir -p {KEPT}; echo {answer} > {KEPT}/answer")
    nightly.exec(f"systemctl start {SERVICE}")
    said = sh(nightly, f"journalctl -u {SERVICE} -o cat --no-pager -n 20")
    assert sh(nightly, f"systemctl show -P Result {SERVICE}") == result, said
    assert sh(nightly, f"systemctl show -P ExecMainStatus {SERVICE}") == str(answer)
    asked = "load run documented --target staging --fail-on-regression"
    assert sh(nightly, f"cat {KEPT}/asked") == asked
    assert sh(nightly, f"stat -c %U {KEPT}/asked") == "connect-infra"
    sh(nightly, f"systemctl reset-failed {SERVICE} || true; rm {KEPT}/asked")
