"""Each documented alert made true on a host: it fires, reaches Alertmanager and the log, clears.

In order: what takes its minutes to fire begins first and is healed before the services go down.
Left to promtool (test_alert_rules.py): that ScrapingFailure clears after its hour, and
HighMemoryUsage, for a lab host sees the memory of the whole machine, which is not ours to fill.
"""

import json
import shlex
from contextlib import contextmanager
from functools import partial

import pytest

from tests.lab import shell
from tests.lab.shell import sh

pytestmark = pytest.mark.long  # 20 minutes, most of them waited

PROMETHEUS = "http://127.0.0.1:9090/api/v1/query"
ALERTMANAGER = "http://127.0.0.1:9093/api/v2/alerts"
API = "-sk -o /dev/null -H Host:your-domain.com https://127.0.0.1/api"

SLOW = f"""
while :; do
  runuser -u postgres -- psql -Xqd connect -c 'LOCK TABLE funding_programs; SELECT pg_sleep(2)' &
  sleep 0.3
  curl {API}/programs/1
  wait
done
"""
"""Requests that wait for a table until somebody else is done with it, one after the other."""

SMALL = "/srv/small"
DEFAULTS = "/etc/default/prometheus-node-exporter"


def firing(host, name):
    """Whether Prometheus has the alert firing."""
    query = shlex.quote(f'ALERTS{{alertname="{name}",alertstate="firing"}}')
    answer = sh(host, f"curl -sfG --data-urlencode query={query} {PROMETHEUS}")
    return json.loads(answer)["data"]["result"] != []


def known(host, name):
    """Whether Alertmanager has the alert as active."""
    alerts = json.loads(sh(host, f"curl -sf '{ALERTMANAGER}?active=true'"))
    return name in {one["labels"]["alertname"] for one in alerts}


def heard(host, state, name, since):
    """Whether the log says so of the alert, since then (seconds of the epoch)."""
    log = sh(host, f"journalctl -u connect-alert-log -o cat --since @{since} --no-pager || true")
    return any(line.startswith(f"{state}: {name} ") for line in log.splitlines())


eventually = partial(shell.eventually, pause=2)


def now(host):
    return int(sh(host, "date +%s"))


def fires(host, name, since, limit):
    """The alert comes all the way; `limit` in seconds, for Prometheus."""
    assert eventually(lambda: firing(host, name), limit), f"{name} does not fire"
    assert eventually(lambda: known(host, name), 30), f"Alertmanager does not know {name}"
    assert eventually(lambda: heard(host, "firing", name, since), 90), f"nobody heard of {name}"


def clears(host, name, since, limit):
    """The alert goes, and the log says so."""
    assert eventually(lambda: not firing(host, name), limit), f"{name} goes on firing"
    assert eventually(lambda: heard(host, "resolved", name, since), 180), f"{name}: no word of it"


@contextmanager
def stopped(host, unit):
    """A service that is down while the block runs."""
    sh(host, f"systemctl stop {unit}")
    try:
        yield
    finally:
        sh(host, f"systemctl start {unit}")


@contextmanager
def slow_answers(host):
    sh(host, f"cat > /root/slow.sh <<'END'\n{SLOW}\nEND\n"
             "systemd-run -q --unit=slow-answers bash /root/slow.sh")  # fmt: skip
    try:
        yield
    finally:
        sh(host, "systemctl stop slow-answers; rm /root/slow.sh")


@contextmanager
def full_root(host, small_disk):
    """A small disk that is full and that node-exporter takes for the root: the machine's is not."""
    restart = "systemctl restart prometheus-node-exporter"
    with small_disk(host, SMALL):
        as_root = f's|^ARGS="|&--path.rootfs={SMALL} |'
        sh(host, f"cp -p {DEFAULTS} /root/defaults.kept; sed -i '{as_root}' {DEFAULTS}; {restart}")
        try:
            sh(host, f"head -c 57M /dev/zero > {SMALL}/full")
            yield
        finally:
            sh(host, f"cp -p /root/defaults.kept {DEFAULTS}; {restart}")


def test_eleven_failed_scrapes(host):
    since = now(host)
    body = shlex.quote(json.dumps({"agency": "nobody", "fail": True}))
    sh(host, f"for one in $(seq 11); do curl -f {API}/scrapes -d {body}; done")
    fires(host, "ScrapingFailure", since, 60)


def test_slow_answers_and_a_full_disk(host, small_disk):
    since = now(host)
    with slow_answers(host), full_root(host, small_disk):
        fires(host, "HighDiskUsage", since, 420)
        fires(host, "HighAPILatency", since, 420)
    healed = now(host)
    clears(host, "HighDiskUsage", healed, 60)
    clears(host, "HighAPILatency", healed, 420)


@pytest.mark.parametrize("unit", ["postgresql@15-main", "prometheus-postgres-exporter"])
def test_the_database_or_its_exporter_is_down(host, unit):
    since = now(host)
    with stopped(host, unit):
        fires(host, "DatabaseDown", since, 90)
        healed = now(host)
    clears(host, "DatabaseDown", healed, 60)


def test_the_application_is_down(host):
    since = now(host)
    with stopped(host, "connect"):
        fires(host, "ApplicationDown", since, 120)
        healed = now(host)
    clears(host, "ApplicationDown", healed, 90)


def test_an_exporter_is_down(host):
    since = now(host)
    with stopped(host, "prometheus-redis-exporter"):
        fires(host, "MonitoringDown", since, 120)
        healed = now(host)
    clears(host, "MonitoringDown", healed, 60)
