"""All of a host's facts in one round trip."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import resources
from typing import Any

from connect_infra.document import Topology
from connect_infra.errors import ObservationError
from connect_infra.facts import (
    colours,
    connect_service,
    cron,
    dashboards,
    docker,
    env,
    fail2ban,
    haproxy,
    host,
    layout,
    logrotate,
    nginx,
    operations,
    patroni,
    pgbackrest,
    pgbouncer,
    pm2,
    postgresql,
    prometheus,
    redis,
    sshd,
    ufw,
    units,
)
from connect_infra.facts.base import FactModule, Output
from connect_infra.transport import Connection

NATIVE: tuple[FactModule, ...] = (
    pm2,
    fail2ban,
    prometheus,
    operations,
    host,
    units,
    layout,
    postgresql,
    pgbouncer,
    redis,
    pgbackrest,
    cron,
    logrotate,
    sshd,
    ufw,
    nginx,
    connect_service,
    env,
)
"""Every subsystem of a native host that is looked at; those that take longest are first."""

CONTAINERS: tuple[FactModule, ...] = (
    haproxy,
    host,
    sshd,
    ufw,
    docker,
    patroni,
    colours,
    dashboards,
)
"""Every subsystem of a Docker host that is looked at; the one that watches for seconds is first."""

MODULES: Mapping[Topology, tuple[FactModule, ...]] = {"native": NATIVE, "containers": CONTAINERS}

RawFacts = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""{module: {label: {code, stdout, stderr}}}, as the host sent it; it holds no secret."""


def gather(
    connection: Connection,
    secrets: Mapping[str, str],
    modules: Sequence[FactModule] = NATIVE,
) -> RawFacts:
    """Run all modules' commands on the host, as root, in one round trip."""
    source = resources.files(__package__).joinpath("collector.py").read_text(encoding="utf-8")
    commands = {module.NAME: dict(module.COMMANDS) for module in modules}
    payload = {"commands": commands, "secrets": dict(secrets)}
    raw: RawFacts = connection.python(source, payload, sudo=True)
    return raw


class Facts:
    """What a host shows; each subsystem is parsed when it is first asked for."""

    def __init__(self, raw: RawFacts) -> None:
        """Keep what the host sent."""
        self.raw = raw

    @classmethod
    def from_raw(cls, raw: RawFacts) -> "Facts":
        """Facts of what a host sent earlier."""
        return cls(raw)

    def outputs(self, name: str) -> Mapping[str, Output]:
        """The outputs of one module; ObservationError when the host sent none."""
        if name not in self.raw:
            raise ObservationError(
                expected=f"the answers of {name}",
                found="none",
                where="facts",
                remedy="gather them again",
            )
        return {label: Output(**answer) for label, answer in self.raw[name].items()}

    @cached_property
    def host(self) -> host.HostFacts:
        """The machine."""
        return host.parse(self.outputs(host.NAME))

    @cached_property
    def units(self) -> units.UnitFacts:
        """The services as systemd sees them."""
        return units.parse(self.outputs(units.NAME))

    @cached_property
    def layout(self) -> layout.LayoutFacts:
        """What stands under /opt/connect."""
        return layout.parse(self.outputs(layout.NAME))

    @cached_property
    def postgresql(self) -> postgresql.PostgresqlFacts:
        """The running PostgreSQL server."""
        return postgresql.parse(self.outputs(postgresql.NAME))

    @cached_property
    def pgbouncer(self) -> pgbouncer.PgbouncerFacts:
        """The running PgBouncer."""
        return pgbouncer.parse(self.outputs(pgbouncer.NAME))

    @cached_property
    def redis(self) -> redis.RedisFacts:
        """Both Redis servers."""
        return redis.parse(self.outputs(redis.NAME))

    @cached_property
    def pgbackrest(self) -> pgbackrest.PgbackrestFacts:
        """pgBackRest's configuration and repository."""
        return pgbackrest.parse(self.outputs(pgbackrest.NAME))

    @cached_property
    def cron(self) -> cron.CronFacts:
        """The jobs that cron runs."""
        return cron.parse(self.outputs(cron.NAME))

    @cached_property
    def logrotate(self) -> logrotate.LogrotateFacts:
        """The logs that are rotated."""
        return logrotate.parse(self.outputs(logrotate.NAME))

    @cached_property
    def operations(self) -> operations.OperationsFacts:
        """The operational scripts and the system's backups."""
        return operations.parse(self.outputs(operations.NAME))

    @cached_property
    def sshd(self) -> sshd.SshdFacts:
        """The running sshd."""
        return sshd.parse(self.outputs(sshd.NAME))

    @cached_property
    def ufw(self) -> ufw.UfwFacts:
        """The firewall, as ufw says and as the kernel has it."""
        return ufw.parse(self.outputs(ufw.NAME))

    @cached_property
    def fail2ban(self) -> fail2ban.Fail2banFacts:
        """The running fail2ban."""
        return fail2ban.parse(self.outputs(fail2ban.NAME))

    @cached_property
    def nginx(self) -> nginx.NginxFacts:
        """nginx' configuration as loaded, and its processes."""
        return nginx.parse(self.outputs(nginx.NAME))

    @cached_property
    def pm2(self) -> pm2.Pm2Facts:
        """PM2's daemon and the application's processes."""
        return pm2.parse(self.outputs(pm2.NAME))

    @cached_property
    def connect_service(self) -> connect_service.ConnectServiceFacts:
        """connect.service, as systemd and as the kernel have it."""
        return connect_service.parse(self.outputs(connect_service.NAME))

    @cached_property
    def env(self) -> env.EnvFacts:
        """The application's environment file."""
        return env.parse(self.outputs(env.NAME))

    @cached_property
    def prometheus(self) -> prometheus.PrometheusFacts:
        """The running Prometheus, and the dashboards on the host."""
        return prometheus.parse(self.outputs(prometheus.NAME))

    @cached_property
    def docker(self) -> docker.DockerFacts:
        """The host's Docker engine."""
        return docker.parse(self.outputs(docker.NAME))

    @cached_property
    def haproxy(self) -> haproxy.HaproxyFacts:
        """The front door of a Docker host."""
        return haproxy.parse(self.outputs(haproxy.NAME))

    @cached_property
    def patroni(self) -> patroni.PatroniFacts:
        """The database's nodes on a Docker host."""
        return patroni.parse(self.outputs(patroni.NAME))

    @cached_property
    def colours(self) -> colours.ColoursFacts:
        """Both colours of the application on a Docker host, and their Redis."""
        return colours.parse(self.outputs(colours.NAME))

    @cached_property
    def dashboards(self) -> dashboards.DashboardFacts:
        """The dashboards of a Docker host, and what their queries return."""
        return dashboards.parse(self.outputs(dashboards.NAME))
