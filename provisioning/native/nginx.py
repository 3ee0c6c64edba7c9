"""nginx: the documented configuration, rendered block by block from the controls."""

from collections.abc import Sequence

from provisioning.component import Activation, Component, Context
from provisioning.native.layout import ROOT
from provisioning.render import render
from provisioning.resources import Directory, Ensure, File, Package, Symlink, Unit

UNIT = "nginx.service"
ETC = "/etc/nginx"
MAIN = f"{ETC}/nginx.conf"
SITE = f"{ETC}/sites-available/connect"
STATUS = f"{ETC}/sites-available/connect-status"
HEADERS = f"{ETC}/snippets/connect-security-headers.conf"
DEFAULT = f"{ETC}/sites-enabled/default"
TAKE_AWAY = f"rm {DEFAULT} && systemctl reload {UNIT}"
DROP_IN = "/etc/systemd/system/nginx.service.d/connect.conf"

OPEN_FILES = 20_000
"""Twice the documented 8192 connections a worker (client and upstream), and what logs and files
need; not more than the hard limit of a small host (20,000)."""

STATUS_ADDRESS = "127.0.0.1:8080"

# The staged tree has the real files' absolute includes: they are led into the stage first.
VALIDATE = f"""
sed -i -e "s#include {ETC}/sites-enabled/#include $STAGE{ETC}/sites-available/#" \\
  -e "s#include {ETC}/snippets/#include $STAGE{ETC}/snippets/#" \\
  "$STAGE{MAIN}" "$STAGE{SITE}"
nginx -t -q -c "$STAGE{MAIN}"
"""

# A reload that nginx refuses leaves the old workers at work and systemctl content: so wait until
# no worker is older than the newest file (whole seconds, as ps tells ages).
RELOADED = f"""
newest=$(stat -c %Y {MAIN} {ETC}/sites-available/* {ETC}/snippets/connect-* | sort -n | tail -1)
for tenth in $(seq 50); do
  oldest=$(ps -C nginx -o etimes=,args= | awk '/worker process$/ {{print $1}}' | sort -n | tail -1)
  [ -n "$oldest" ] && [ "$oldest" -le $(( $(date +%s) - newest + 1 )) ] && exit 0
  sleep 0.1
done
exit 1
"""

VERIFY = f"""
for tenth in $(seq 50); do
  said=$(curl -sS -o /dev/null http://{STATUS_ADDRESS}/stub_status 2>&1) && exit 0
  sleep 0.1
done
echo "$said"; exit 1
"""


def component(ctx: Context) -> Component:
    """Package, configuration and site; what documents miss is added, never put in their place."""
    links = {name: f"{ETC}/sites-enabled/{name.rpartition('/')[2]}" for name in (SITE, STATUS)}
    return Component(
        "nginx",
        (
            Package("nginx"),
            Directory(DROP_IN.rpartition("/")[0]),
            Directory(ctx.expected("nginx.site80[/.well-known/acme-challenge/].root")),
            File(MAIN, main_file(ctx)),
            File(
                HEADERS, render("native/nginx_headers.j2", headers="\n".join(security_headers(ctx)))
            ),
            File(SITE, site_file(ctx)),
            File(STATUS, render("native/nginx_status.j2", address=STATUS_ADDRESS)),
            File(DROP_IN, render("native/restart.conf.j2")),
            *(Symlink(link, target) for target, link in links.items()),
            Symlink(f"{ROOT}/shared/config/nginx.conf", MAIN),
            Unit(UNIT),
            Ensure("no site of the package's", f"! test -e {DEFAULT}", TAKE_AWAY),
        ),
        validate=VALIDATE,
        verify=VERIFY,
        activation=Activation(
            UNIT, reload_ok=True, reload_enough=RELOADED, log="/var/log/nginx/error.log"
        ),
        after=("layout", "certificate"),
    )


def main_file(ctx: Context) -> bytes:
    """nginx.conf."""
    sites = "nginx.http.include.sites"
    return render(
        "native/nginx.conf.j2",
        body=lambda path: body(ctx, "nginx", path, without=(sites,)),
        open_files=OPEN_FILES,
        sites=ctx.expected(sites),
    )


def site_file(ctx: Context) -> bytes:
    """The site: the redirecting server and the real one."""
    https = _locations(ctx, "nginx-site-https")
    return render(
        "native/nginx_site.j2",
        http=lambda path: body(ctx, "nginx-site-http", path),
        https=lambda path: body(ctx, "nginx-site-https", path),
        http_locations=_locations(ctx, "nginx-site-http"),
        https_locations=https,
        with_own_headers=[
            one for one in https if "add_header" in body(ctx, "nginx-site-https", f"server > {one}")
        ],
        headers_file=HEADERS,
        redirect_headers=[
            line for line in security_headers(ctx) if "Strict-Transport-Security" not in line
        ],
        kept_alive=lambda location: kept_alive(
            body(ctx, "nginx-site-https", f"server > {location}")
        ),
    )


def kept_alive(documented: str) -> list[str]:
    """What a location lacks so that its requests don't close the connections kept for others."""
    needed = {
        "proxy_http_version ": "proxy_http_version 1.1;",
        "proxy_set_header Connection ": 'proxy_set_header Connection "";',
    }
    return [line for start, line in needed.items() if start not in documented]


def body(ctx: Context, name: str, path: str, without: Sequence[str] = ()) -> str:
    """The documented directives of one block, one a line, in the document's order."""
    indent = "    " * len(path.split(" > ")) if path else ""
    lines = [
        f"{indent}{directive(step, expectation.expected)}"
        for expectation in ctx.expectations.values()
        for outer, _, step in [expectation.key.rpartition(" > ")]
        if expectation.control.component == name and outer == path and expectation.id not in without
    ]
    return "\n".join(lines)


def directive(step: str, value: str) -> str:
    """A key's last step and its value as nginx reads it.

    The bracketed part names a header, a format or a zone; a zone's name is in the value already.
    """
    name, _, key = step.rstrip("]").partition("[")
    if key and f"zone={key}:" not in value:
        value = f"{key} {value}"
    return f"{name} {value};"


def _locations(ctx: Context, name: str) -> list[str]:
    """The locations of a site, in the document's order."""
    steps = [
        expectation.key.split(" > ")[1]
        for expectation in ctx.expectations.values()
        if expectation.control.component == name and expectation.key.count(" > ") == 2
    ]
    return list(dict.fromkeys(steps))


def security_headers(ctx: Context) -> list[str]:
    """The server's documented add_header lines."""
    lines = body(ctx, "nginx-site-https", "server").splitlines()
    return [line.strip() for line in lines if line.strip().startswith("add_header ")]
