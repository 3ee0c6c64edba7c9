"""Every alert that Prometheus has loaded, at both edges of its threshold and of its duration.

promtool runs the rules as they lie on the provisioned host, in simulated time.
"""

import pytest

from connect_infra.document import load
from provisioning.native.prometheus import ANNOTATIONS

RULES = "/etc/prometheus/rules/*.yml"

MEMORY = ("node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes")
DISK = ('node_filesystem_size_bytes{mountpoint="/"}', 'node_filesystem_free_bytes{mountpoint="/"}')
BESIDE = tuple(one.replace('"/"', '"/srv"') for one in DISK)
BUCKET = 'http_request_duration_seconds_bucket{{job="connect-app",route="/api/programs",le="{}"}}'
FAILURES = "scraping_failures_total"
SCRAPE = 15
BASE = 250
"""Scrapes in which all is well: more than an hour, so that every window is full before it ends."""


def switch(series, good, bad):
    """A gauge that is well until scrape BASE and bad from then on."""
    return {series: f"{good}x{BASE - 1} {bad}x500"}


def latency(slow_percent):
    """A histogram of 100 requests a scrape, of which so many take 2 s from scrape BASE on."""
    fast = 100 - slow_percent
    turned = 100 * (BASE - 1)
    return {
        BUCKET.format("1"): f"0+100x{BASE - 1} {turned + fast}+{fast}x500",
        BUCKET.format("2.5"): "0+100x750",
        BUCKET.format("+Inf"): "0+100x750",
    }


def failures(count):
    """A counter that rises by so much at scrape BASE."""
    return {FAILURES: f"100x{BASE - 1} {100 + count}x500"}


def full(names, free):
    """A size of 1000 and what is free of it."""
    size, left = names
    return {size: "1000x750", **switch(left, 500, free)}


UP = 'up{{job="{}",instance="x"}}'
CASES = {
    # alert: what is just within its threshold, what is just beyond, its further labels, and
    # scrapes from the first bad one until its expression is true
    "DatabaseDown": (
        switch(UP.format("postgres-exporter"), 1, 1),
        switch(UP.format("postgres-exporter"), 1, 0),
        {"job": "postgres-exporter", "instance": "x"},
        0,
    ),
    "ApplicationDown": (
        switch(UP.format("connect-app"), 1, 1),
        switch(UP.format("connect-app"), 1, 0),
        {"job": "connect-app", "instance": "x"},
        0,
    ),
    "HighMemoryUsage": (full(MEMORY, 100), full(MEMORY, 99), {}, 0),
    "HighDiskUsage": (full(DISK, 150), full(DISK, 149), {"mountpoint": "/"}, 0),
    # 6 % are slow: 17 of the 20 intervals of 5 minutes make that more than 5 % of its requests.
    "HighAPILatency": (
        latency(4),
        latency(6),
        {"job": "connect-app", "route": "/api/programs"},
        16,
    ),
    "ScrapingFailure": (failures(10), failures(11), {}, 0),
}
ADDED = {
    "DatabaseDown": (
        switch('pg_up{job="postgres-exporter"}', 1, 1),
        switch('pg_up{job="postgres-exporter"}', 1, 0),
        30,
    ),
    "HighDiskUsage": (full(BESIDE, 150), full(BESIDE, 149), 300),
    "MonitoringDown": (
        switch(UP.format("node-exporter"), 1, 1),
        switch(UP.format("node-exporter"), 1, 0),
        60,
    ),
}
"""The alerts of this project's own, with the seconds that they wait."""


def documented(name, what):
    return load().controls[f"prometheus.alert.{name}.{what}"]


def seconds_of(name):
    """How long an alert waits, as documented; the data counts in milliseconds."""
    waits = documented(name, "for")
    return int(waits.parse(waits.documented)) // 1000


def fires(name, series, at, labels, annotations):
    """A unit test: what fires under a name at a time (seconds), None for nothing."""
    expected = [] if labels is None else [{"exp_labels": labels, "exp_annotations": annotations}]
    return {
        "interval": f"{SCRAPE}s",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "alert_rule_test": [{"eval_time": f"{at}s", "alertname": name, "exp_alerts": expected}],
    }


def test_every_documented_alert_is_tested_here():
    documented_names = {
        one.key.removesuffix(".expr")
        for one in load().component("prometheus-alert")
        if one.key.endswith(".expr")
    }
    assert set(CASES) == documented_names


@pytest.mark.parametrize("name", CASES)
def test_it_fires_beyond_its_threshold_and_after_its_time_and_not_before(name, rule_tests):
    within, beyond, labels, delay = CASES[name]
    summary, description = ANNOTATIONS[name]
    labels = {"severity": documented(name, "severity").documented, **labels}
    annotations = {"summary": summary, "description": description}
    due = (BASE + delay) * SCRAPE + seconds_of(name)
    tests = [
        fires(name, within, due + 900, None, None),
        fires(name, beyond, due - SCRAPE, None, None),
        fires(name, beyond, due, labels, annotations),
        fires(name, beyond, due + 900, labels, annotations),
    ]
    assert rule_tests(tests, RULES) == ""


def test_an_hour_after_the_last_failure_scraping_is_well_again(rule_tests):
    name = "ScrapingFailure"
    _, beyond, labels, _ = CASES[name]
    summary, description = ANNOTATIONS[name]
    labels = {"severity": documented(name, "severity").documented, **labels}
    last = BASE * SCRAPE + 3600 - SCRAPE
    tests = [
        fires(name, beyond, last, labels, {"summary": summary, "description": description}),
        fires(name, beyond, last + SCRAPE, None, None),
    ]
    assert rule_tests(tests, RULES) == ""


@pytest.mark.parametrize("name", ADDED)
def test_what_was_added_fires_at_the_same_edges(name, rule_tests):
    within, beyond, lasts = ADDED[name]
    due = BASE * SCRAPE + lasts

    def firing(series, at, count):
        return {
            "interval": f"{SCRAPE}s",
            "input_series": [{"series": one, "values": values} for one, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})',
                    "eval_time": f"{at}s",
                    "exp_samples": [{"labels": "{}", "value": count}] if count else [],
                }
            ],
        }

    tests = [
        firing(within, due + 900, 0),
        firing(beyond, due - SCRAPE, 0),
        firing(beyond, due, 1),
        firing(beyond, due + 900, 1),
    ]
    assert rule_tests(tests, RULES) == ""
