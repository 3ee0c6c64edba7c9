"""PgBouncer: the documented pool in front of PostgreSQL, and the console's user."""

from provisioning.component import Activation, Component, Context
from provisioning.render import render
from provisioning.resources import Directory, Ensure, File, Package, Unit

FILE = "/etc/pgbouncer/pgbouncer.ini"
DROP_IN = "/etc/systemd/system/pgbouncer.service.d/connect.conf"
UNIT = "pgbouncer.service"
ADMIN = "pgbouncer_admin"

# The pooler has no check of its own: it is started with the staged files on a private socket,
# without a port, and must answer there.
VALIDATE = f"""
chmod -R go+rX "$STAGE"
chown -R postgres:postgres "$STAGE"
cat > "$STAGE/check.ini" <<END
%include $STAGE{FILE}
[pgbouncer]
listen_addr =
unix_socket_dir = $STAGE
pidfile =
logfile =
auth_file = $STAGE/etc/pgbouncer/userlist.txt
END
cd "$STAGE"
runuser -u postgres -- timeout 10 pgbouncer "$STAGE/check.ini" > "$STAGE/said" 2>&1 &
pid=$!
for tenth in $(seq 50); do
  [ -S "$STAGE/.s.PGSQL.6432" ] && break
  kill -0 $pid 2>/dev/null || break
  sleep 0.1
done
kill $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
if grep -E 'ERROR|FATAL|WARNING' "$STAGE/said"; then exit 1; fi
"""

CONSOLE = (
    "cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 "
    "-h /var/run/postgresql -p 6432 -U pgbouncer -d pgbouncer"
)
"""As the user the pooler runs as, over its socket: it asks for no password there."""

VERIFY = f"""
for second in $(seq 20); do
  said=$({CONSOLE} -c 'SHOW VERSION' 2>&1) && exit 0
  sleep 0.5
done
echo "$said"; exit 1
"""

LIVE_CHECK = f"""
running=$({CONSOLE} -F '	' -c 'SHOW CONFIG' | cut -f 1,2 | sort)
[ -n "$running" ] || exit 1
differs=$(printf '%s\\n' "$WANTED" | sort | while IFS= read -r line; do
  printf '%s\\n' "$running" | grep -qxF "$line" || echo "not running with $line"
done)
[ -z "$differs" ] || {{ echo "$differs"; exit 1; }}
"""

LIVE_DO = f"""
systemctl reload {UNIT}
sleep 0.3
( {LIVE_CHECK} ) || {{ systemctl restart {UNIT}; {VERIFY} }}
"""
"""A reload undoes what was set on the console and keeps every client."""


def options(ctx: Context) -> dict[str, str]:
    """The documented options of section [pgbouncer]."""
    return {
        expectation.key.removeprefix("pgbouncer."): expectation.expected
        for expectation in ctx.expectations.values()
        if expectation.control.component == "pgbouncer" and expectation.key.startswith("pgbouncer.")
    }


def component(ctx: Context) -> Component:
    """Package, configuration, the two users, and the unit that comes back when it dies."""
    documented = options(ctx)
    database = ctx.expected("pgbouncer.databases.connect")
    users = {
        "connect": ctx.secrets["POSTGRES_PASSWORD"],
        ADMIN: ctx.secrets["PGBOUNCER_ADMIN_PASSWORD"],
    }
    users_file = documented["auth_file"]
    wanted = "\n".join(f"{name}\t{value}" for name, value in documented.items())
    return Component(
        "pgbouncer",
        (
            Package("pgbouncer"),
            File(
                FILE,
                render(
                    "native/pgbouncer.ini.j2", options=documented, database=database, admin=ADMIN
                ),
                0o640,
                "postgres",
                "postgres",
            ),
            File(
                users_file,
                render("native/userlist.txt.j2", users=users),
                0o640,
                "postgres",
                "postgres",
                secret=True,
            ),
            Directory(DROP_IN.rpartition("/")[0]),
            File(DROP_IN, render("native/restart.conf.j2")),
            Unit(UNIT),
            Ensure(
                "pooler runs with its file",
                LIVE_CHECK,
                LIVE_DO,
                {"WANTED": wanted},
            ),
        ),
        validate=VALIDATE,
        verify=VERIFY,
        activation=Activation(
            UNIT,
            reload_ok=True,
            restart_on=frozenset({DROP_IN}),
            log="/var/log/postgresql/pgbouncer.log",
        ),
        after=("postgresql",),
    )
