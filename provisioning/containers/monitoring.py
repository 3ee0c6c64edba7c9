"""Monitoring: what Prometheus scrapes, CPU and memory of the containers, alerts, the dashboard."""

from pathlib import Path

from provisioning.component import Activation, Component, Context
from provisioning.containers import images
from provisioning.containers.layout import CONFIG, ROOT
from provisioning.native.dashboards import Panel, dashboard
from provisioning.native.prometheus import SOURCES as NATIVE
from provisioning.render import render
from provisioning.resources import Directory, Ensure, File, Unit

SOURCES = Path(__file__).parent / "measuring"
PROGRAM = "/usr/local/lib/connect-infra/container_metrics.py"
UNIT = "connect-container-metrics.service"
METRICS = f"{ROOT}/state/metrics"
DASHBOARDS = f"{ROOT}/monitoring/grafana-dashboards"
TITLE = "Connect"

JOBS = {
    "connect-app": ["connect_app1:3000", "connect_app2:3000"],
    "haproxy": ["haproxy:8405"],
    "patroni": ["patroni1:8008", "patroni2:8008"],
    "etcd": ["etcd:2379"],
    "postgres": ["postgres_exporter:9187"],
    "redis": ["redis_exporter:9121"],
    "containers": ["node_exporter:9100"],
    "alertmanager": ["alertmanager:9093"],
    "prometheus": ["localhost:9090"],
}
"""Everything that is scraped, by the names that the containers have on their network."""

ALERT_LOG = "alert_log:9095"
"""Who takes what Alertmanager sends."""

FRONT = 'proxy="connect"'
SERVED = f"haproxy_backend_http_responses_total{{{FRONT}}}"
WENT_WRONG = f'haproxy_backend_http_responses_total{{{FRONT},code="5xx"}}'
BY_COLOUR = f"haproxy_server_http_responses_total{{{FRONT}}}"

SEEN = """
count=$(curl --silent --fail --max-time 5 --get http://127.0.0.1:9090/api/v1/query \\
  --data-urlencode 'query=count(up == 1 and count_over_time(up[5m]) > 1)' |
  jq --raw-output '.data.result[0].value[1]')
[ "$count" = {targets} ] ||
  {{ echo "Prometheus sees ${{count:-none}} of {targets} targets"; exit 1; }}
"""


VALIDATE = """
check() {{
  docker run --rm --network none --volume "$STAGE{config}/prometheus:/etc/connect:ro" {image} "$@"
}}
check promtool check config /etc/connect/prometheus.yml
check amtool check-config /etc/connect/alertmanager.yml
"""
"""Prometheus' own checker reads its file and the rules, Alertmanager's its file."""


def _quantile(share: str) -> str:
    buckets = 'http_request_duration_seconds_bucket{job="connect-app"}'
    return f"histogram_quantile({share}, sum by (le) (rate({buckets}[5m])))"


PANELS = (
    Panel("Request rate", "reqps", (("requests", f"sum(rate({SERVED}[5m]))"),)),
    Panel(
        "Error rate",
        "percent",
        (("5xx", f"100 * sum(rate({WENT_WRONG}[5m])) / sum(rate({SERVED}[5m]))"),),
    ),
    Panel(
        "Response time",
        "s",
        (("p50", _quantile("0.5")), ("p95", _quantile("0.95")), ("p99", _quantile("0.99"))),
    ),
    Panel(
        "Containers: CPU",
        "percentunit",
        (("{{name}}", "sum by (name) (rate(container_cpu_seconds_total[5m]))"),),
    ),
    Panel("Containers: memory", "bytes", (("{{name}}", "container_memory_bytes"),)),
    Panel(
        "Database: connections",
        "short",
        (
            ("{{datname}}", 'sum by (datname) (pg_stat_database_numbackends{datname!=""})'),
            ("limit", "max(pg_settings_max_connections)"),
        ),
    ),
    Panel(
        "Redis: hit rate",
        "percentunit",
        (
            (
                "hits",
                "redis_keyspace_hits_total"
                " / (redis_keyspace_hits_total + redis_keyspace_misses_total)",
            ),
        ),
    ),
    Panel(
        "Traffic by colour",
        "reqps",
        (("{{server}}", f"sum by (server) (rate({BY_COLOUR}[5m]))"),),
    ),
)  # fmt: skip
"""What document S's key panels show, and beside them the traffic of each colour."""


def component(ctx: Context) -> Component:
    """Files that the containers of the monitoring read, and the host's own measuring."""
    folder = f"{ROOT}/monitoring"
    return Component(
        "monitoring",
        (
            Directory(f"{CONFIG}/prometheus"),
            Directory(METRICS),
            Directory(folder),
            Directory(DASHBOARDS),
            *(File(f"{CONFIG}/prometheus/{name}", content) for name, content in files().items()),
            File(f"{DASHBOARDS}/connect.json", dashboard(TITLE, PANELS)),
            Directory("/usr/local/lib/connect-infra"),
            File(PROGRAM, (SOURCES / "container_metrics.py").read_bytes(), 0o755),
            File(
                f"/etc/systemd/system/{UNIT}",
                render(
                    "containers/container-metrics.service.j2",
                    program=PROGRAM,
                    path=f"{METRICS}/containers.prom",
                ),
            ),
            Unit(UNIT),
        ),
        validate=VALIDATE.format(config=CONFIG, image=images.PROMETHEUS.tag(images.base_of(ctx))),
        activation=Activation(UNIT),
        after=("images", "layout"),
    )


def seen() -> Component:
    """Prometheus has scraped everything at least twice: from then on rates can be shown."""
    targets = sum(len(addresses) for addresses in JOBS.values())
    return Component(
        "monitoring-data",
        (
            Ensure(
                "Prometheus sees every target",
                SEEN.format(targets=targets),
                f"for half in $(seq 180); do ( {SEEN.format(targets=targets)} ) && exit 0; "
                "sleep 0.5; done; exit 1",
            ),
        ),
        after=("stack",),
    )


def files() -> dict[str, bytes]:
    """What the containers of the monitoring read at their start; another one makes them anew."""
    (alertmanager,) = JOBS["alertmanager"]
    return {
        "prometheus.yml": render(
            "containers/prometheus.yml.j2", jobs=JOBS, alertmanager=alertmanager
        ),
        "alerts.yml": render("containers/alerts.yml.j2"),
        "alertmanager.yml": render("containers/alertmanager.yml.j2", receiver=ALERT_LOG),
        "alert_log.py": (NATIVE / "alert_log.py").read_bytes(),
    }
