"""The configuration that A 2.2 keeps under /opt/connect: environment, PM2, nginx, monitoring."""

from provisioning.component import Component, Context
from provisioning.native.host import USER
from provisioning.native.layout import ROOT
from provisioning.render import render
from provisioning.resources import File

CONFIG = f"{ROOT}/shared/config"

URLS = {
    "DATABASE_URL": ("postgresql://connect:{}@localhost:6432/connect", "POSTGRES_PASSWORD"),
    "REDIS_CACHE_URL": ("redis://:{}@localhost:6379", "REDIS_CACHE_PASSWORD"),
    "REDIS_QUEUE_URL": ("redis://:{}@localhost:6380", "REDIS_QUEUE_PASSWORD"),
}
"""Variables that hold a password in a URL (A 6.2)."""


def environment(ctx: Context) -> bytes:
    """.env.production: every documented variable, secrets from the target's source."""
    lines = []
    for control, expectation in ctx.expectations.items():
        component, _, name = control.partition(".")
        if component != "env" or not name.isupper():
            continue
        if name in URLS:
            url, secret = URLS[name]
            value = url.format(ctx.secrets[secret])
        else:
            value = ctx.secrets.get(name, expectation.expected)
        lines.append(f"{name}={value}\n")
    return "".join(lines).encode()


def component(ctx: Context) -> Component:
    """The files; the services that will read them are not provisioned by this component."""
    pm2 = {
        control.removeprefix("pm2."): expectation
        for control, expectation in ctx.expectations.items()
        if control.startswith("pm2.")
    }
    return Component(
        "shared-config",
        (
            File(f"{CONFIG}/.env.production", environment(ctx), 0o600, USER, USER, secret=True),
            _rendered(f"{CONFIG}/ecosystem.config.js", "ecosystem.config.js.j2", pm2=pm2),
            _rendered(f"{CONFIG}/nginx.conf", "nginx.conf.j2", expected=ctx.expected),
            _rendered(f"{ROOT}/monitoring/prometheus.yml", "prometheus.yml.j2", of=ctx.expected),
            _rendered(f"{ROOT}/monitoring/alertmanager.yml", "alertmanager.yml.j2"),
        ),
        after=("layout",),
    )


def _rendered(path: str, template: str, **names: object) -> File:
    return File(path, render(f"native/shared/{template}", **names), 0o644, USER, USER)
