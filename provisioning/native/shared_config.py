"""The configuration of monitoring that A 2.2 keeps under /opt/connect."""

from provisioning.component import Component, Context
from provisioning.native.host import USER
from provisioning.native.layout import ROOT
from provisioning.render import render
from provisioning.resources import File


def component(ctx: Context) -> Component:
    """The files; the services that will read them are not provisioned by this component."""
    return Component(
        "shared-config",
        (
            _rendered(f"{ROOT}/monitoring/prometheus.yml", "prometheus.yml.j2", of=ctx.expected),
            _rendered(f"{ROOT}/monitoring/alertmanager.yml", "alertmanager.yml.j2"),
        ),
        after=("layout",),
    )


def _rendered(path: str, template: str, **names: object) -> File:
    return File(path, render(f"native/shared/{template}", **names), 0o644, USER, USER)
