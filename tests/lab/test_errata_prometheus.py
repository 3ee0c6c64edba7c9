"""What the documented text of Prometheus does on a real host, one test an erratum.

Each test takes away what this project adds, or asks Prometheus only what the document asks it.
"""

import json
import shlex
import time
from contextlib import contextmanager
from functools import partial

import pytest

from connect_infra.document import load
from tests.lab import shell
from tests.lab.shell import sh

pytestmark = pytest.mark.long  # minutes on two cores; `make proofs` runs it

PROMETHEUS = "http://127.0.0.1:9090/api/v1/query"
ALERTS = {
    one.key.removesuffix(".expr"): one.documented
    for one in load().component("prometheus-alert")
    if one.key.endswith(".expr")
}
"""What each documented alert asks, by its name."""

SCRAPED = 40.0
"""Seconds in which every target has been scraped twice."""


def ask(host, query):
    """The series that a query returns now."""
    asked = f"curl -sfG --data-urlencode query={shlex.quote(query)} {PROMETHEUS}"
    return json.loads(sh(host, asked))["data"]["result"]


eventually = partial(shell.eventually, limit=SCRAPED, pause=1)


@contextmanager
def stopped(host, *units):
    """Services that are down while the block runs."""
    names = " ".join(units)
    sh(host, f"systemctl stop {names}")
    try:
        yield
    finally:
        sh(host, f"systemctl start {names}")


def added(host, name):
    """What the rules that this project adds under an alert's name ask."""
    said = sh(host, "curl -sf http://127.0.0.1:9090/api/v1/rules?type=alert")
    return [
        rule["query"]
        for group in json.loads(said)["data"]["groups"]
        for rule in group["rules"]
        if (group["name"], rule["name"]) == ("connect.additions", name)
    ]


def test_a_database_that_is_down_leaves_its_exporter_up(host):
    with stopped(host, "postgresql@15-main"):
        assert eventually(lambda: ask(host, "pg_up == 0"))
        assert ask(host, 'up{job="postgres-exporter"} == 1')
        assert ask(host, ALERTS["DatabaseDown"]) == []
        (ours,) = added(host, "DatabaseDown")
        assert ask(host, ours)


def test_the_documented_port_of_the_application_has_no_listener(host):
    # What the document gives the application to listen on: PORT 0 and a socket.
    documented = {one.key: one.documented for one in load().component("pm2")}
    assert documented["env.PORT"] == "0"
    assert documented["env.SOCKET_PATH"].startswith("/")
    listener = "ss -Hltn sport = :3001"
    assert "127.0.0.1:3001" in sh(host, listener)
    with stopped(host, "connect"):
        assert sh(host, listener) == ""
        assert eventually(lambda: ask(host, ALERTS["ApplicationDown"]))


def test_one_process_answers_for_all_and_its_counters_go_back(host):
    base = "/tmp/errata-counters"
    as_connect = f"cd {base}; runuser -u connect -- env PM2_HOME={base}/home HOME={base}"
    program = (
        'let answered = 0; require("http").createServer((request, response) => '
        'response.end(String(answered += 1) + "\\n")).listen(13001);'
    )
    page = "http://127.0.0.1:13001/"
    sh(host, f"install -d -o connect {base}; printf '%s' '{program}' > {base}/one.js")
    try:
        sh(host, f"{as_connect} pm2 start one.js -i 2 >/dev/null; sleep 1")
        sh(host, f"curl -sf {page} {page} {page} {page}")  # one connection, so one process
        scrapes = sh(host, f"for scrape in 1 2 3 4; do curl -sf {page}; done").split()
    finally:
        sh(host, f"{as_connect} pm2 kill >/dev/null; rm -rf {base}")
    counts = [int(count) for count in scrapes]
    assert len(counts) == 4
    assert counts != sorted(counts), f"a counter that never falls: {counts}"
    # The release adds up the counters of all its processes.
    resets = "max(resets(http_requests_total{job='connect-app'}[10m]))"
    assert eventually(lambda: ask(host, resets))
    assert ask(host, resets)[0]["value"][1] == "0"


def test_one_redis_exporter_sees_one_redis_and_without_its_password_none(host):
    address = "127.0.0.1:19121"
    exporter = f"prometheus-redis-exporter -web.listen-address={address}"
    up = "curl -sf http://{}/metrics | grep '^redis_up '"
    try:
        sh(host, f"systemd-run -q --unit=errata-redis {exporter}; sleep 1")
        assert sh(host, up.format(address)) == "redis_up 0"
    finally:
        sh(host, "systemctl stop errata-redis")
    assert sh(host, up.format("127.0.0.1:9121")) == "redis_up 1", "the page has one server"
    for job in ("redis-exporter", "redis-exporter-queue"):
        assert ask(host, f'redis_up{{job="{job}"}} == 1'), job


def test_alertmanager_as_packaged_tells_nobody(host):
    path = "/etc/prometheus/alertmanager.yml"
    alert = (
        "amtool alert add errata severity=critical --annotation=summary={}"
        " --alertmanager.url=http://127.0.0.1:9093"
    )
    heard = "journalctl -u connect-alert-log --since -2min --no-pager | grep -c {} || true"
    assert "smtp" not in sh(host, f"cat {path}")
    nobody = (
        '{"route": {"receiver": "nobody", "group_wait": "1s"}, "receivers": [{"name": "nobody"}]}'
    )
    sh(host, f"cp -p {path} /root/alertmanager.kept; echo '{nobody}' > {path};"
             "systemctl reload prometheus-alertmanager; sleep 1")  # fmt: skip
    try:
        sh(host, alert.format("unheard") + "; sleep 5")
        assert sh(host, heard.format("unheard")) == "0"
    finally:
        sh(host, f"cp -p /root/alertmanager.kept {path}; systemctl reload prometheus-alertmanager")
    sh(host, alert.format("heard").replace("errata", "errata-heard"))
    assert eventually(lambda: sh(host, heard.format("heard")) != "0")


def test_nobody_hears_when_an_exporter_is_down(host):
    with stopped(host, "prometheus-node-exporter"):
        assert eventually(lambda: ask(host, 'up{job="node-exporter"} == 0'))
        time.sleep(1)
        assert [name for name, query in ALERTS.items() if ask(host, query)] == []
        assert ask(host, "node_memory_MemTotal_bytes") == [], "its last values are still there"
        (ours,) = added(host, "MonitoringDown")
        assert ask(host, ours)


def test_a_full_disk_beside_the_root_is_not_seen(host, small_disk):
    path = "/srv/errata"
    (ours,) = added(host, "HighDiskUsage")
    assert ask(host, ours) == []
    with small_disk(host, path):
        sh(host, f"head -c 57M /dev/zero > {path}/full")
        assert eventually(lambda: ask(host, ours))
        assert {one["metric"]["mountpoint"] for one in ask(host, ours)} == {path}
        assert ask(host, ALERTS["HighDiskUsage"]) == []


def alert_rule(host, name, after="0m"):
    """A file on the host with the documented alert alone."""
    rule = {"alert": name, "expr": ALERTS[name], "for": after}
    path = f"/tmp/{name}.rules.json"
    content = json.dumps({"groups": [{"name": "documented", "rules": [rule]}]})
    sh(host, f"cat > {path} <<'END'\n{content}\nEND")
    return path


def firing(name, series, at, *labels):
    """A unit test: with these series the alert fires at that time, once for each of `labels`."""
    return {
        "interval": "15s",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "alert_rule_test": [
            {"eval_time": at, "alertname": name, "exp_alerts": [{"exp_labels": x} for x in labels]}
        ],
    }


def test_failures_before_the_first_scrape_are_no_increase(host, rule_tests):
    name = "ScrapingFailure"
    rules = alert_rule(host, name)
    counter = "scraping_failures_total"
    # 50 failures within a minute, in a counter that is first seen with all of them.
    late = firing(name, {counter: "_x4 50x60"}, "15m")
    early = firing(name, {counter: "0x4 50x60"}, "15m", {})
    assert rule_tests([late, early], rules) == ""
    assert ask(host, "scraping_failures_total") != [], "the application shows no counter yet"


def test_ten_failures_are_more_than_ten(host, rule_tests):
    # A failure every five minutes; evaluated between two scrapes, as it happens on a host.
    failures = "100x20 " + " ".join(f"{100 + n}x19" for n in range(1, 11)) + " 110x40"
    test = {
        "interval": "15s",
        "input_series": [{"series": "scraping_failures_total", "values": failures}],
        "promql_expr_test": [
            {
                "expr": f"count({ALERTS['ScrapingFailure']})",
                "eval_time": "61m7s",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }
        ],
    }
    assert rule_tests([test], alert_rule(host, "ScrapingFailure")) == ""


def test_each_route_has_a_percentile_of_its_own(host, rule_tests):
    name = "HighAPILatency"
    rules = alert_rule(host, name, "5m")
    bucket = 'http_request_duration_seconds_bucket{{job="connect-app",route="{}",le="{}"}}'
    bounds = ("0.1", "1", "2.5", "+Inf")
    series = {bucket.format("/fast", bound): "0+100x60" for bound in bounds}
    series |= {bucket.format("/slow", bound): "0+0x60" for bound in bounds[:2]}
    series |= {bucket.format("/slow", bound): "0+1x60" for bound in bounds[2:]}
    slow = firing(name, series, "12m", {"job": "connect-app", "route": "/slow"})
    assert rule_tests([slow], rules) == ""
