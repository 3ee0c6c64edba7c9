"""What a native host must have (architecture v2.0): one module a component, in order."""

from provisioning.component import Component, Context, ordered
from provisioning.native import (
    certificate,
    cron,
    dashboards,
    fail2ban,
    host,
    layout,
    logrotate,
    nginx,
    node,
    operations,
    pgbackrest,
    pgbouncer,
    pm2,
    postgresql,
    prometheus,
    redis,
    release,
    scripts,
    sshd,
    ufw,
)


def components(ctx: Context) -> tuple[Component, ...]:
    """Every component of a native host, in the order in which they come up."""
    return ordered(
        (
            host.component(ctx),
            layout.component(ctx),
            scripts.component(ctx),
            pgbackrest.component(ctx),
            postgresql.component(ctx),
            pgbouncer.component(ctx),
            redis.cache(ctx),
            redis.queue(ctx),
            logrotate.component(ctx),
            node.component(ctx),
            release.component(ctx),
            pm2.socket(ctx),
            pm2.component(ctx),
            certificate.component(ctx),
            nginx.component(ctx),
            cron.component(ctx),
            sshd.component(ctx),
            ufw.component(ctx),
            fail2ban.component(ctx),
            *prometheus.components(ctx),
            dashboards.component(ctx),
            operations.component(),
        )
    )
