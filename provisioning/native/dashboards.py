"""Grafana's dashboards as files: the five documented groups, a panel for each thing they name."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from provisioning.component import Component, Context
from provisioning.native.host import USER
from provisioning.native.layout import ROOT
from provisioning.resources import File

FOLDER = f"{ROOT}/monitoring/grafana-dashboards"
SCHEMA = 37
"""The version of Grafana's dashboard model that these files are written in (Grafana 9.x)."""

DATASOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH, HEIGHT = 12, 8
"""A panel's size in the 24 columns of Grafana's grid."""


@dataclass(frozen=True)
class Panel:
    """One graph: its title, its unit as Grafana names it, and its queries by legend."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]


def rate(counter: str, labels: str = "") -> str:
    """How much a counter grows a second, over all its series."""
    selector = f"{{{labels}}}" if labels else ""
    return f"sum(rate({counter}{selector}[5m]))"


APP = 'job="connect-app"'
DURATION = "http_request_duration_seconds"


def _a_day(counter: str) -> str:
    return f"sum(increase({counter}[1d]))"


def _quantile(share: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({DURATION}_bucket{{{APP}}}[5m])))"


ERRORS = rate("http_requests_total", f'{APP}, status=~"5.."')
REQUESTS = rate("http_requests_total", APP)

DASHBOARDS: dict[str, tuple[Panel, ...]] = {
    "System Overview": (
        Panel(
            "CPU",
            "percentunit",
            (("busy", '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[5m]))'),),
        ),
        Panel(
            "Memory",
            "bytes",
            (
                ("used", "node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes"),
                ("total", "node_memory_MemTotal_bytes"),
            ),
        ),
        Panel(
            "Disk",
            "percentunit",
            (
                (
                    "used of {{mountpoint}}",
                    '1 - node_filesystem_avail_bytes{mountpoint="/"}'
                    ' / node_filesystem_size_bytes{mountpoint="/"}',
                ),
            ),
        ),
        Panel(
            "Network",
            "Bps",
            (
                ("received", rate("node_network_receive_bytes_total", 'device!="lo"')),
                ("sent", rate("node_network_transmit_bytes_total", 'device!="lo"')),
            ),
        ),
    ),
    "Database Health": (
        Panel(
            "Connections",
            "short",
            (
                ("{{datname}}", 'sum by (datname) (pg_stat_database_numbackends{datname!=""})'),
                ("limit", "pg_settings_max_connections"),
            ),
        ),
        Panel(
            "Query performance",
            "s",
            (("longest transaction", "max(pg_stat_activity_max_tx_duration)"),),
        ),
        Panel(
            "Transactions",
            "ops",
            (
                ("commits", rate("pg_stat_database_xact_commit")),
                ("rollbacks", rate("pg_stat_database_xact_rollback")),
            ),
        ),
        Panel(
            "Cache hit ratio",
            "percentunit",
            (
                (
                    "hits",
                    "sum(pg_stat_database_blks_hit)"
                    " / (sum(pg_stat_database_blks_hit) + sum(pg_stat_database_blks_read))",
                ),
            ),
        ),
    ),
    "Application Metrics": (
        Panel("Request rate", "reqps", (("requests", REQUESTS),)),
        Panel(
            "Response time",
            "s",
            (("p50", _quantile("0.5")), ("p95", _quantile("0.95")), ("p99", _quantile("0.99"))),
        ),
        Panel("Error rate", "percentunit", (("5xx", f"({ERRORS} or vector(0)) / {REQUESTS}"),)),
    ),
    "Business Metrics": (
        Panel("User registrations", "short", (("a day", _a_day("user_registrations_total")),)),
        Panel("Funding matches", "short", (("a day", _a_day("funding_matches_total")),)),
        Panel(
            "Scraping success",
            "short",
            (
                ("succeeded in an hour", "sum(increase(scraping_success_total[1h]))"),
                ("failed in an hour", "sum(increase(scraping_failures_total[1h]))"),
            ),
        ),
    ),
    "Security Monitoring": (
        Panel(
            "Failed logins",
            "short",
            (
                ("to Connect, in an hour", "sum(increase(login_failures_total[1h]))"),
                ("by SSH, in an hour", 'increase(fail2ban_failed_total{jail="sshd"}[1h])'),
            ),
        ),
        Panel(
            "Rate limit hits",
            "short",
            (("in an hour", 'increase(fail2ban_failed_total{jail="nginx-req-limit"}[1h])'),),
        ),
        Panel("Banned addresses", "short", (("{{jail}}", "fail2ban_banned"),)),
    ),
}
"""The documented groups and what each must show (A 5.2)."""


def component(ctx: Context) -> Component:
    """One file a dashboard, named after it."""
    return Component(
        "grafana-dashboards",
        tuple(
            File(f"{FOLDER}/{slug(title)}.json", dashboard(title, panels), 0o644, USER, USER)
            for title, panels in DASHBOARDS.items()
        ),
        after=("layout",),
    )


def slug(title: str) -> str:
    """A dashboard's title as a file name and as its id in Grafana's addresses."""
    return title.lower().replace(" ", "-")


def dashboard(title: str, panels: Iterable[Panel]) -> bytes:
    """One dashboard in Grafana's JSON model."""
    model = {
        "uid": f"connect-{slug(title)}",
        "title": title,
        "tags": ["connect"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": False,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": []},
        "annotations": {"list": []},
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }
    return json.dumps(model, indent=2).encode() + b"\n"


def _panel(number: int, panel: Panel) -> dict[str, object]:
    row, column = divmod(number, 24 // WIDTH)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": DATASOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": expression,
                "legendFormat": legend,
            }
            for index, (legend, expression) in enumerate(panel.queries)
        ],
    }
