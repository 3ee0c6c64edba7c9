"""PM2, connect.service and the application's environment: from documented text to a running app."""

import json
import re
from urllib.parse import quote, urlsplit, urlunsplit

from connect_infra.document import Expectation
from connect_infra.errors import PlanError
from provisioning.component import Activation, Component, Context
from provisioning.native.host import USER
from provisioning.native.layout import ROOT
from provisioning.render import render
from provisioning.resources import Directory, Ensure, File, Resource, Symlink, Unit

UNIT = "connect.service"
SERVICE = f"/etc/systemd/system/{UNIT}"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/connect.conf"
TMPFILES = "/etc/tmpfiles.d/connect.conf"
CONFIG = f"{ROOT}/shared/config"
ECOSYSTEM = f"{CONFIG}/ecosystem.config.js"
CURRENT = f"{ROOT}/current"

SOCKET_DIRECTORY = "/run/connect"

HEALTHY = "curl -sf -o /dev/null --max-time 5 --unix-socket {socket} http://localhost/api/health"
"""The application itself, without nginx."""

PASSWORDS = {
    "DATABASE_URL": "POSTGRES_PASSWORD",
    "REDIS_CACHE_URL": "REDIS_CACHE_PASSWORD",
    "REDIS_QUEUE_URL": "REDIS_QUEUE_PASSWORD",
}
"""The secret that belongs into each documented URL."""


def component(ctx: Context) -> Component:
    """Unit, ecosystem file, environment file, and the application running where one is deployed."""
    socket = ctx.expected("pm2.env.SOCKET_PATH")
    home = _pm2_home(ctx)
    environment_file = ctx.expected("connect.service.EnvironmentFile")
    healthy = HEALTHY.format(socket=socket)
    resources: tuple[Resource, ...] = (
        Directory(home, 0o700, USER, USER),
        Directory(DROP_IN.rpartition("/")[0]),
        File(SERVICE, render("native/connect.service.j2", sections=unit_sections(ctx))),
        File(
            DROP_IN,
            render(
                "native/connect.service.d.j2",
                pm2_home=home,
                socket=socket,
                directory=SOCKET_DIRECTORY,
                config=CONFIG,
                current=CURRENT,
                scripts=f"{ROOT}/scripts",
                ecosystem=ECOSYSTEM.rpartition("/")[2],
            ),
        ),
        File(ECOSYSTEM, ecosystem(ctx), 0o640, USER, USER),
        Symlink(f"{ROOT}/ecosystem.config.js", ECOSYSTEM),
        File(environment_file, environment(ctx), 0o600, USER, USER, secret=True),
        Unit(UNIT),
        Ensure(
            "application runs, where one is deployed",
            # Patient: it may be getting its connection to a restarted Redis back.
            f"test ! -e {CURRENT}/server.js && exit 0\n{_patiently(healthy, 5)}",
            f"systemctl reload {UNIT}\n{_patiently(healthy)}",
        ),
    )
    return Component(
        "connect.service",
        resources,
        validate=_validate(environment_file),
        verify=f"test ! -e {CURRENT}/server.js && exit 0\n{_patiently(healthy)}",
        activation=Activation(
            UNIT,
            reload_ok=True,
            # A reload brings a new environment; the list of processes is made at a start.
            restart_on=frozenset({SERVICE, DROP_IN, ECOSYSTEM}),
            log=ctx.expected("pm2.error_file"),
        ),
        after=("connect.socket", "release", "pgbouncer", "redis-cache", "redis-queue"),
    )


def socket(ctx: Context) -> Component:
    """Where the application's socket is made: before the service, whose view of /run it is."""
    path = ctx.expected("pm2.env.SOCKET_PATH")
    content = render(
        "native/connect.tmpfiles.j2",
        directory=SOCKET_DIRECTORY,
        user=USER,
        web_user=ctx.expected("nginx.user"),
        socket=path,
        name=path.rpartition("/")[2],
    )
    # The + is the ACL.
    made = f"ls -ld {SOCKET_DIRECTORY} | grep -q '^drwxr-xr-x+' && test -L {path}"
    ensure = Ensure("directory of the socket", made, f"systemd-tmpfiles --create {TMPFILES}")
    return Component("connect.socket", (File(TMPFILES, content), ensure), after=("layout",))


def _patiently(command: str, seconds: int = 20) -> str:
    return (
        f"for second in $(seq {seconds}); do {command} && exit 0; sleep 1; done\n"
        "echo 'the application does not answer on its socket'; exit 1\n"
    )


def _validate(environment_file: str) -> str:
    # The staged ecosystem file reads the staged environment; Node finds what is wrong in it.
    staged = f'"$STAGE{ECOSYSTEM}"'
    return f"""
sed -i "s#'{environment_file}'#'$STAGE{environment_file}'#" {staged}
node -e 'const app = require(process.argv[1]).apps[0];
  if (!app.name || !app.env.DATABASE_URL) throw new Error("no application in it");' {staged}
systemd-analyze verify --man=no --recursive-errors=no "$STAGE{SERVICE}"
"""


def unit_sections(ctx: Context) -> dict[str, list[tuple[str, str]]]:
    """The documented unit: its sections with names and values in order."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for expectation in _of(ctx, "connect.service"):
        section, _, name = expectation.key.partition(".")
        sections.setdefault(section, []).append((name, expectation.expected))
    return sections


def ecosystem(ctx: Context) -> bytes:
    """ecosystem.config.js: the documented settings, and what is no secret of the environment."""
    settings, plain = {}, {}
    for expectation in _of(ctx, "pm2"):
        value = _javascript(expectation.expected)
        name = expectation.key.removeprefix("env.")
        if name == expectation.key:
            settings[name] = value
        elif expectation.control.type != "secret":
            plain[name] = value
    return render(
        "native/ecosystem.config.js.j2",
        settings=settings,
        plain=plain,
        environment_file=ctx.expected("connect.service.EnvironmentFile"),
        current=CURRENT,
    )


def environment(ctx: Context) -> bytes:
    """.env.production: every documented variable with the target's own values."""
    variables = {
        expectation.key: _quoted(expectation.key, _variable(ctx, expectation.key))
        for expectation in _of(ctx, "env")
        if re.fullmatch(r"[A-Z][A-Z0-9_]*", expectation.key)
    }
    return render("native/env.production.j2", variables=variables)


def _of(ctx: Context, name: str) -> list[Expectation]:
    return [one for one in ctx.expectations.values() if one.control.component == name]


def _pm2_home(ctx: Context) -> str:
    return ctx.expected("connect.service.Environment.PM2_HOME").partition("=")[2]


def _variable(ctx: Context, name: str) -> str:
    if name in PASSWORDS:
        return _with_password(ctx.expected(f"env.{name}"), ctx.secrets[PASSWORDS[name]])
    return ctx.secrets.get(name) or ctx.expected(f"env.{name}")


def _with_password(url: str, password: str) -> str:
    parts = urlsplit(url.replace("<secret>", "x"))
    host = f"{parts.username or ''}:{quote(password, safe='')}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=host))


def _quoted(name: str, value: str) -> str:
    """A value as systemd, a shell and our ecosystem file read it alike; PlanError if none can."""
    if re.search(r"[\"\\$`\n]", value):
        raise PlanError(
            expected="a value without quotes, backslashes, $ and line ends",
            found=f"such a character in {name}",
            where="the target's secrets",
            remedy="choose another value: systemd and shells would read this one differently",
        )
    return f'"{value}"' if re.search(r"[^\w@%+=:,./~-]", value) else value


def _javascript(text: str) -> str:
    """A documented value as JavaScript: numbers and booleans bare, everything else quoted."""
    if re.fullmatch(r"\d+|true|false", text):
        return text
    return "'" + json.dumps(text)[1:-1].replace("'", "\\'") + "'"
