"""Every alert of a Docker host, before and after its threshold and its duration.

promtool runs the rules as the host's Prometheus has them, in simulated time.
"""

import json

import pytest
import yaml

from provisioning.containers import monitoring
from tests.lab.shell import sh

pytestmark = pytest.mark.long

RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load(monitoring.files()["alerts.yml"])["groups"]
    for rule in group["rules"]
}

SCRAPE = 15
TURN = 40
"""Scrapes in which all is well: ten minutes, so that every window is full before it ends."""

APP = 'up{{job="connect-app",instance="{}"}}'
ANSWERS = 'haproxy_backend_http_responses_total{{proxy="connect",code="{}"}}'
SERVED = 'haproxy_backend_status{proxy="connect",state="UP"}'
REPLICA = 'patroni_replica{instance="patroni2"}'
MEMORY = 'container_memory_bytes{name="haproxy"}'
REDIS = 'up{job="redis",instance="redis_exporter"}'

WELL = {
    APP.format("app1"): 1,
    APP.format("app2"): 1,
    REDIS: 1,
    SERVED: 1,
    "pg_up": 1,
    "redis_up": 1,
    'patroni_primary{instance="patroni1"}': 1,
    REPLICA: 1,
    MEMORY: 900,
    'container_memory_limit_bytes{name="haproxy"}': 1000,
}

CASES = {
    # alert: what is bad from TURN on, and the labels of what fires
    "ApplicationDown": ({APP.format("app1"): 0, APP.format("app2"): 0}, {}),
    "ColourDown": ({APP.format("app2"): 0}, {"job": "connect-app", "instance": "app2"}),
    "NothingServes": ({SERVED: 0}, {"proxy": "connect", "state": "UP"}),
    "DatabaseDown": ({"pg_up": 0}, {}),
    "ReplicaDown": ({REPLICA: 0}, {}),
    "RedisDown": ({"redis_up": 0}, {}),
    "HighMemoryUsage": ({MEMORY: 901}, {"name": "haproxy"}),
    "MonitoringDown": ({REDIS: 0}, {"job": "redis", "instance": "redis_exporter"}),
}

RATES = {"HighErrorRate": (5, 6)}
"""Errors beside 100 good answers a scrape: within the limit, and beyond it. From the beginning: a
window that is half full of them says half."""


def seconds(text):
    return int(text[:-1]) * {"s": 1, "m": 60}[text[-1]]


def expected(name, at, labels):
    """What is expected of one alert at a moment: it fires with these labels, or not at all."""
    firing = []
    if labels is not None:
        rule = RULES[name]
        firing = [
            {"exp_labels": rule["labels"] | labels, "exp_annotations": rule["annotations"]},
        ]
    return {"eval_time": f"{at}s", "alertname": name, "exp_alerts": firing}


def steady_rate(errors):
    return {
        ANSWERS.format("2xx"): "0+100x100",
        ANSWERS.format("5xx"): f"0+{errors}x100",
    }


def case(series, expectations):
    rows = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": f"{SCRAPE}s", "input_series": rows, "alert_rule_test": expectations}


def switched(bad):
    """Every series: well until TURN, then what is bad."""
    return {
        name: f"{good}x{TURN - 1} {bad.get(name, good)}x100" for name, good in WELL.items()
    } | steady_rate(5)


def unit_tests():
    """One for each alert, and one in which all is well and none may fire."""
    quiet = [expected(name, 80 * SCRAPE, None) for name in RULES]
    tests = [case(switched({}), quiet)]
    for name, (bad, labels) in CASES.items():
        due = TURN * SCRAPE + seconds(RULES[name]["for"])
        moments = [expected(name, due - SCRAPE, None), expected(name, due, labels)]
        tests.append(case(switched(bad), moments))
    for name, (within, beyond) in RATES.items():
        at = 2 * SCRAPE + seconds(RULES[name]["for"])
        tests.append(case(steady_rate(within), [expected(name, 80 * SCRAPE, None)]))
        tests.append(case(steady_rate(beyond), [expected(name, at, {})]))
    return tests


def test_every_alert_fires_when_it_must_and_not_before(docker_host):
    assert {*CASES, *RATES} == set(RULES)
    content = json.dumps({
        "rule_files": ["/etc/connect/alerts.yml"],
        "evaluation_interval": f"{SCRAPE}s",
        "tests": unit_tests(),
    })  # fmt: skip
    sh(docker_host, f"docker exec -i prometheus sh -c 'cat > /tmp/tests.json' <<'END'\n"
                    f"{content}\nEND")  # fmt: skip
    said = sh(docker_host, "docker exec prometheus promtool test rules /tmp/tests.json 2>&1")
    assert "SUCCESS" in said
