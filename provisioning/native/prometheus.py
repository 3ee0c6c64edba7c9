"""Prometheus, its rules, Alertmanager and the exporters: Debian's packages, on this host only.

Every exporter is a component of its own, so that a change restarts only what it touches.
Prometheus comes last: it is in order once it has seen all the others twice.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from provisioning.component import Activation, Component, Context
from provisioning.native.layout import ROOT
from provisioning.native.nginx import STATUS_ADDRESS
from provisioning.render import render
from provisioning.resources import Directory, Ensure, File, Package, Resource, Symlink, Unit, User

HOME = "/etc/prometheus"
DATA = "/var/lib/prometheus"
CONFIG = f"{HOME}/prometheus.yml"
LIBRARY = "/usr/local/lib/connect-infra"
OWNER = "prometheus"
RECEIVER = "127.0.0.1:9095"
"""Where Alertmanager's alerts are taken, to be written to the journal."""

TEXTFILE = f"{DATA}/node-exporter/fail2ban.prom"
PASSWORDS = f"{HOME}/redis-passwords.json"
SOURCES = Path(__file__).parent / "monitoring"

EXPORTERS = ("node-exporter", "postgres-exporter", "redis-exporter", "nginx-exporter")
JOBS = ("prometheus", *EXPORTERS, "connect-app")

ANNOTATIONS = {
    "DatabaseDown": (
        "PostgreSQL database is down",
        "PostgreSQL database has been down for more than 30 seconds",
    ),
    "ApplicationDown": (
        "Connect application is down",
        "Connect application has been unreachable for more than 1 minute",
    ),
    "HighMemoryUsage": (
        "High memory usage detected",
        "Memory usage is above 90% for more than 5 minutes",
    ),
    "HighDiskUsage": (
        "High disk usage detected",
        "Disk usage is above 85% for more than 5 minutes",
    ),
    "HighAPILatency": (
        "High API latency detected",
        "95th percentile API latency is above 1 second for more than 5 minutes",
    ),
    "ScrapingFailure": (
        "High scraping failure rate",
        "More than 10 scraping failures in the last hour",
    ),
}
"""What the document has each alert say (A 5.1)."""

VIRTUAL = "|".join(
    ("autofs", "binfmt_misc", "bpf", "cgroup2?", "configfs", "debugfs", "devpts", "devtmpfs",
     "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "procfs", "pstore", "rpc_pipefs",
     "securityfs", "selinuxfs", "squashfs", "sysfs", "tmpfs", "tracefs")
)  # fmt: skip
"""Filesystems that are no disk; unlike the exporter's own list it lets an overlay count as /."""

ANSWERS = """
python3 -c '
import time, urllib.request
for tenth in range(100):
    try:
        urllib.request.urlopen("http://{address}{path}", timeout=5).read()
        raise SystemExit(0)
    except OSError as problem:
        said = problem
        time.sleep(0.2)
raise SystemExit("no answer from {address}{path}: %s" % said)
'
"""

SEES = """
python3 -c '
import json, sys, time, urllib.parse, urllib.request
def ask(query):
    address = "http://127.0.0.1:9090/api/v1/query?query=" + urllib.parse.quote(query)
    return json.load(urllib.request.urlopen(address, timeout=5))["data"]["result"]
for half in range(150):
    try:
        seen = ask("up == 1 and on(job) min by (job) (count_over_time(up[5m])) > 1")
        missing = set(sys.argv[1:]) - {{one["metric"]["job"] for one in seen}}
    except OSError as problem:
        missing = str(problem)
    if not missing:
        raise SystemExit(0)
    time.sleep(0.5)
raise SystemExit("Prometheus does not see: %s" % missing)
' {jobs}
"""

ROLE_CHECK = """
runuser -u postgres -- psql -XAtqc "SELECT 'a role prometheus with pg_monitor' FROM pg_roles
  WHERE rolname = 'prometheus' AND rolcanlogin AND pg_has_role(oid, 'pg_monitor', 'member')" |
  grep . || { echo 'no role prometheus with pg_monitor'; exit 1; }
"""

ROLE = """
runuser -u postgres -- psql -Xq -v ON_ERROR_STOP=1 <<'SQL'
SELECT 'CREATE ROLE prometheus' WHERE NOT EXISTS
  (SELECT FROM pg_roles WHERE rolname = 'prometheus') \\gexec
ALTER ROLE prometheus LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD NULL;
GRANT pg_monitor TO prometheus;
SQL
"""


def components(ctx: Context) -> tuple[Component, ...]:
    """Everything that watches the host, in the order in which it comes up."""
    return (
        _account(),
        _node(ctx),
        _postgres(ctx),
        _redis(ctx),
        _nginx(ctx),
        _alert_log(),
        _alertmanager(ctx),
        _prometheus(ctx),
    )


def _account() -> Component:
    """The documented user and what it owns; all the packages share them."""
    return Component(
        "prometheus-account",
        (
            Package("prometheus-node-exporter"),
            User(OWNER, OWNER, DATA, "/bin/false"),
            Directory(HOME, 0o755, OWNER, OWNER),
            Directory(DATA, 0o755, OWNER, OWNER),
            Directory(f"{HOME}/rules", 0o755, OWNER, OWNER),
            Directory(LIBRARY),
        ),
        after=("host",),
    )


def _node(ctx: Context) -> Component:
    """The machine, and what fail2ban has counted."""
    program = f"{LIBRARY}/security_metrics.py"
    service = render(
        "native/prometheus/security_metrics.service.j2", program=program, path=TEXTFILE
    )
    timer = render("native/prometheus/security_metrics.timer.j2")
    return _exporter(
        ctx,
        "node-exporter",
        {"": f"--collector.filesystem.fs-types-exclude=^({VIRTUAL})$"},
        Directory(f"{DATA}/node-exporter"),
        File(program, (SOURCES / "security_metrics.py").read_bytes(), 0o755),
        File("/etc/systemd/system/connect-security-metrics.service", service),
        File("/etc/systemd/system/connect-security-metrics.timer", timer),
        Unit("connect-security-metrics.timer"),
        after=("prometheus-account", "fail2ban"),
    )


def _postgres(ctx: Context) -> Component:
    """PostgreSQL, over its socket: the system's user is the role, there is no password."""
    source = "user=prometheus host=/run/postgresql dbname=postgres sslmode=disable"
    return _exporter(
        ctx,
        "postgres-exporter",
        {"DATA_SOURCE_NAME": source},
        Ensure("role prometheus may read PostgreSQL's statistics", ROLE_CHECK, ROLE),
        after=("prometheus-account", "postgresql"),
    )


def _redis(ctx: Context) -> Component:
    """Both Redis servers by one exporter; their passwords are in a file of its own."""
    passwords = {
        f"redis://{_redis_address(ctx, name)}": ctx.secrets[f"REDIS_{short}_PASSWORD"]
        for name, short in (("redis-cache", "CACHE"), ("redis-queue", "QUEUE"))
    }
    address = f"-redis.addr=redis://{_redis_address(ctx, 'redis-cache')}"
    content = (json.dumps(passwords, indent=1) + "\n").encode()
    return _exporter(
        ctx,
        "redis-exporter",
        {"": f"{address} -redis.password-file={PASSWORDS}"},
        File(PASSWORDS, content, 0o600, OWNER, OWNER, secret=True),
        after=("prometheus-account", "redis-cache", "redis-queue"),
    )


def _nginx(ctx: Context) -> Component:
    """nginx, by its status page; it gives up when nginx is not there at its start, so it tries."""
    arguments = f"-nginx.scrape-uri=http://{STATUS_ADDRESS}/stub_status -nginx.retries=1000"
    return _exporter(ctx, "nginx-exporter", {"": arguments}, after=("prometheus-account", "nginx"))


def _exporter(
    ctx: Context,
    job: str,
    variables: Mapping[str, str],
    *resources: Resource,
    after: tuple[str, ...],
) -> Component:
    """One exporter on its documented port; the variable "" holds further arguments."""
    package = f"prometheus-{job}"
    address = _local(ctx.expected(f"prometheus.scrape[{job}].target"))
    dash = "-" if job in ("redis-exporter", "nginx-exporter") else "--"
    arguments = f"{dash}web.listen-address={address} {variables.get('', '')}".strip()
    given = {name: value for name, value in variables.items() if name} | {"ARGS": arguments}
    return Component(
        package,
        (
            Package(package),
            _defaults(package, given),
            *resources,
            Unit(f"{package}.service"),
        ),
        verify=ANSWERS.format(address=address, path="/metrics"),
        activation=Activation(f"{package}.service"),
        after=after,
    )


def _alert_log() -> Component:
    """Takes what Alertmanager sends and writes it to the journal."""
    program = f"{LIBRARY}/alert_log.py"
    unit = "connect-alert-log.service"
    service = render("native/prometheus/alert_log.service.j2", program=program, receiver=RECEIVER)
    return Component(
        "alert-log",
        (
            File(program, (SOURCES / "alert_log.py").read_bytes(), 0o755),
            File(f"/etc/systemd/system/{unit}", service),
            Unit(unit),
        ),
        activation=Activation(unit),
        after=("prometheus-account",),
    )


def _alertmanager(ctx: Context) -> Component:
    """Alertmanager, alone: it has no peers to listen for."""
    package = "prometheus-alertmanager"
    address = _local(ctx.expected("prometheus.alerting.alertmanagers"))
    arguments = f"--web.listen-address={address} --cluster.listen-address="
    path = f"{HOME}/alertmanager.yml"
    defaults = _defaults(package, {"ARGS": arguments})
    return Component(
        package,
        (
            Package(package),
            defaults,
            File(path, render("native/prometheus/alertmanager.yml.j2", receiver=RECEIVER)),
            Symlink(f"{ROOT}/monitoring/alertmanager.yml", path),
            Unit(f"{package}.service"),
        ),
        validate=f'amtool check-config "$STAGE{path}"',
        verify=ANSWERS.format(address=address, path="/-/ready"),
        activation=Activation(
            f"{package}.service", reload_ok=True, restart_on=frozenset({defaults.path})
        ),
        after=("alert-log", "layout"),
    )


def _prometheus(ctx: Context) -> Component:
    """The server, the documented rules and ours beside them."""
    address = _local(ctx.expected("prometheus.scrape[prometheus].target"))
    defaults = _defaults("prometheus", {"ARGS": f"--web.listen-address={address}"})
    queue = _redis_address(ctx, "redis-queue")
    config = render("native/prometheus/prometheus.yml.j2", of=ctx.expected, jobs=JOBS, queue=queue)
    additions = render("native/prometheus/additions.yml.j2", of=ctx.expected)
    rules = f"{HOME}/rules"
    return Component(
        "prometheus",
        (
            Package("prometheus"),
            defaults,
            File(CONFIG, config),
            File(f"{rules}/connect.yml", _rules(ctx)),
            File(f"{rules}/additions.yml", additions),
            Symlink(f"{ROOT}/monitoring/prometheus.yml", CONFIG),
            Unit("prometheus.service"),
        ),
        validate=f'promtool check config --syntax-only "$STAGE{CONFIG}" &&'
        f' promtool check rules "$STAGE{rules}/"*.yml',
        verify=SEES.format(jobs=" ".join((*JOBS[:-1], "redis-exporter-queue"))),
        activation=Activation(
            "prometheus.service", reload_ok=True, restart_on=frozenset({defaults.path})
        ),
        after=(*(f"prometheus-{name}" for name in EXPORTERS), "prometheus-alertmanager"),
    )


def _rules(ctx: Context) -> bytes:
    def of(name: str, what: str) -> str:
        return ctx.expected(f"prometheus.alert.{name}.{what}")

    alerts = [
        {
            "name": name,
            "expr": of(name, "expr"),
            "lasts": of(name, "for"),
            "severity": of(name, "severity"),
            "summary": summary,
            "description": description,
        }
        for name, (summary, description) in ANNOTATIONS.items()
    ]
    return render("native/prometheus/connect.yml.j2", alerts=alerts)


def _defaults(package: str, variables: Mapping[str, str]) -> File:
    content = render("native/prometheus/defaults.j2", variables=variables)
    return File(f"/etc/default/{package}", content)


def _local(target: str) -> str:
    """The address to listen on for a documented target `localhost:port`."""
    return target.replace("localhost", "127.0.0.1")


def _redis_address(ctx: Context, name: str) -> str:
    return f"localhost:{ctx.expected(f'{name}.port')}"
