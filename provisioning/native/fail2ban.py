"""fail2ban: the documented jails, and the filters that they name and no package brings."""

from provisioning.component import Activation, Component, Context
from provisioning.render import render
from provisioning.resources import Directory, File, Package, Unit

HOME = "/etc/fail2ban"
UNIT = "fail2ban.service"
DROP_IN = f"/etc/systemd/system/{UNIT}.d"
OWN_FILTERS = ("nginx-req-limit", "nginx-noscript", "nginx-badbots")

CHECK = f"""
cp -a {HOME} "$STAGE/all"
cp -a "$STAGE{HOME}/." "$STAGE/all/"
said=$(fail2ban-client -c "$STAGE/all" -t 2>&1) || {{
  case $said in
    *'Have not found any log file'*) ;;  # made when the service starts
    *) echo "$said"; exit 1;;
  esac
}}
"""

VERIFY = """
for tenth in $(seq 100); do
  missing=''
  for jail in {jails}; do
    fail2ban-client status "$jail" >/dev/null 2>&1 || missing="$missing $jail"
  done
  [ -z "$missing" ] && exit 0
  sleep 0.2
done
echo "these jails do not run:$missing"; exit 1
"""


def options(ctx: Context) -> dict[str, dict[str, str]]:
    """The documented options by jail."""
    jails: dict[str, dict[str, str]] = {}
    for expectation in ctx.expectations.values():
        if expectation.control.component == "fail2ban":
            jail, _, name = expectation.key.partition(".")
            jails.setdefault(jail, {})[name] = expectation.expected
    return jails


def component(ctx: Context) -> Component:
    """Jails, filters, and the log files that must be there before the server starts."""
    jails = options(ctx)
    logs = sorted({jails[name]["logpath"] for name in OWN_FILTERS})
    local = render("native/fail2ban/jail.local.j2", jails=jails, log_readers=OWN_FILTERS)
    start = render("native/fail2ban/logs.conf.j2", logs=" ".join(logs))
    names = " ".join(name for name in jails if name != "DEFAULT")
    return Component(
        "fail2ban",
        (
            Package("fail2ban"),
            Package("python3-systemd"),
            *(
                File(f"{HOME}/filter.d/{name}.conf", render(f"native/fail2ban/{name}.conf.j2"))
                for name in OWN_FILTERS
            ),
            File(f"{HOME}/jail.local", local),
            Directory(DROP_IN),
            File(f"{DROP_IN}/logs.conf", start),
            Unit(UNIT),
        ),
        validate=CHECK,
        verify=VERIFY.format(jails=names),
        activation=Activation(
            UNIT,
            reload_ok=True,
            restart_on=frozenset({f"{DROP_IN}/logs.conf"}),
            log="/var/log/fail2ban.log",
        ),
        after=("ufw",),
    )
