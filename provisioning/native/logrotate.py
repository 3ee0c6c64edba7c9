"""logrotate: the logs that no package rotates, in the file that the maintenance names (A 7.2)."""

from provisioning.component import Component, Context
from provisioning.native.host import USER
from provisioning.native.layout import ROOT
from provisioning.native.pm2 import UNIT as APPLICATION
from provisioning.render import render
from provisioning.resources import File, Package, Unit

PATH = "/etc/logrotate.d/connect"

CHECK = f'logrotate --debug --state /dev/null "$STAGE{PATH}" 2>&1'


def component(ctx: Context) -> Component:
    """The application's logs and both Redis servers'; the package's timer rotates them daily."""
    content = render(
        "native/logrotate.j2",
        logs=f"{ROOT}/shared/logs/*.log",
        user=USER,
        application=APPLICATION,
        redis=[ctx.expected(f"{name}.logfile") for name in ("redis-cache", "redis-queue")],
    )
    return Component(
        "logrotate",
        (Package("logrotate"), File(PATH, content), Unit("logrotate.timer")),
        validate=CHECK,
        after=("layout", "redis-cache", "redis-queue"),
    )
