"""PostgreSQL 15: the documented settings, who may log in, the role and the database."""

from provisioning.component import Activation, Component, Context
from provisioning.native.pgbackrest import INFO, STANZA
from provisioning.render import render
from provisioning.resources import Directory, Ensure, File, Package, Unit

CONFIGURATION = "/etc/postgresql/15/main"
SETTINGS = f"{CONFIGURATION}/conf.d/90-connect.conf"
ENVIRONMENT = f"{CONFIGURATION}/environment"
ACCESS = f"{CONFIGURATION}/pg_hba.conf"
DROP_IN = "/etc/systemd/system/postgresql@.service.d/connect.conf"
UNIT = "postgresql@15-main.service"

NOT_SETTINGS = ("packages", "role", "database")
"""Keys of the component that are no parameters of the server."""

ARCHIVE_TIMEOUT = "300"
"""Seconds. Not in document A: a quiet evening's writes would wait for a full segment (16 MB)
while document S promises to lose 15 minutes at most."""

PSQL = "cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d postgres"

VALIDATE = f"""
chmod go+rx "$STAGE" "$STAGE"/* "$STAGE{CONFIGURATION}"
cp -an {CONFIGURATION}/. "$STAGE{CONFIGURATION}/"
cd /
runuser -u postgres -- /usr/lib/postgresql/15/bin/postgres -C data_directory \\
  --config-file="$STAGE{CONFIGURATION}/postgresql.conf" >/dev/null
"""
"""The server itself reads the staged tree, beside a copy of Debian's own files."""

VERIFY = f"""
for half_second in $(seq 120); do
  runuser -u postgres -- pg_isready -q && break
  restarts=$(systemctl show -P NRestarts {UNIT})
  [ "$restarts" -lt 2 ] || {{ echo "the server does not start"; exit 1; }}
  sleep 0.5
done
said=$({PSQL} -c "
  SELECT sourcefile || ':' || sourceline || ' ' || coalesce(name, '') || ': ' || error
    FROM pg_file_settings WHERE error IS NOT NULL
     AND error <> 'setting could not be applied'
  UNION ALL
  SELECT 'pg_hba.conf:' || line_number || ': ' || error FROM pg_hba_file_rules
   WHERE error IS NOT NULL")
[ -z "$said" ] || {{ echo "$said"; exit 1; }}
"""

RELOAD_ENOUGH = f"""
sleep 0.2
[ "$({PSQL} -c "SELECT count(*) FROM pg_settings WHERE pending_restart")" = 0 ]
"""

ROLE_CHECK = """
stored=$(cd / && runuser -u postgres -- psql -XAtq -d postgres -c "SELECT rolpassword FROM pg_authid
  WHERE rolname = 'connect' AND rolcanlogin
    AND NOT (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)")
STORED="$stored" python3 -c "$SCRAM_CHECK"
"""

SCRAM_CHECK = """
import base64, hashlib, hmac, os, re, sys
match = re.fullmatch(r"SCRAM-SHA-256\\$(\\d+):([^$]+)\\$([^:]+):(.+)", os.environ["STORED"])
if not match:
    sys.exit("no role connect that only may log in, with a SCRAM password")
rounds, salt, stored = int(match[1]), base64.b64decode(match[2]), base64.b64decode(match[3])
password = os.environ["POSTGRES_PASSWORD"].encode()
salted = hashlib.pbkdf2_hmac("sha256", password, salt, rounds)
client = hmac.digest(salted, b"Client Key", "sha256")
if not hmac.compare_digest(hashlib.sha256(client).digest(), stored):
    sys.exit("the role's password is another one")
"""

ROLE_DO = """
cd /
python3 -c "$SCRAM_MAKE" | runuser -u postgres -- psql -Xq -v ON_ERROR_STOP=1 -d postgres
"""
"""The server never sees the password, and the session keeps the verifier out of its log."""

SCRAM_MAKE = """
import base64, hashlib, hmac, os
salt, rounds = os.urandom(16), 4096
salted = hashlib.pbkdf2_hmac("sha256", os.environ["POSTGRES_PASSWORD"].encode(), salt, rounds)
client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
server = hmac.digest(salted, b"Server Key", "sha256")
text = lambda value: base64.b64encode(value).decode()
verifier = f"SCRAM-SHA-256${rounds}:{text(salt)}${text(client)}:{text(server)}"
print(f'''SET log_statement = none; SET log_min_duration_statement = -1;
SET log_min_error_statement = panic;
SELECT 'CREATE ROLE connect' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'connect')
\\\\gexec
ALTER ROLE connect LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
 PASSWORD '{verifier}';''')
"""

DATABASE_CHECK = f"""
[ "$({PSQL} -c "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'connect'")" \\
  = connect ] || {{ echo "no database connect that belongs to connect"; exit 1; }}
"""

DATABASE_DO = f"""
{PSQL} <<'SQL'
SELECT 'CREATE DATABASE connect OWNER connect'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'connect') \\gexec
ALTER DATABASE connect OWNER TO connect;
SQL
"""

ARCHIVED = f"{INFO} | jq -e '[.[0].archive[]?.max | strings] | length > 0' >/dev/null"

LIVE_CHECK = f"""
said=$({PSQL} -v names="$NAMES" <<'SQL'
SELECT name || ' comes from ' || coalesce(sourcefile, source)
  FROM pg_settings
 WHERE name = ANY (string_to_array(:'names', ' ')) AND sourcefile IS DISTINCT FROM '{SETTINGS}'
UNION ALL
SELECT name || ' waits for a restart' FROM pg_settings WHERE pending_restart
UNION ALL
SELECT 'the files are newer than what the server has read'
 WHERE pg_conf_load_time() < to_timestamp(
   greatest((pg_stat_file('{SETTINGS}')).modification, (pg_stat_file('{ACCESS}')).modification)
   ::timestamptz::text, 'YYYY-MM-DD HH24:MI:SS');
SQL
)
[ -z "$said" ] || {{ echo "$said"; exit 1; }}
"""

LIVE_DO = f"""
for name in $NAMES; do {PSQL} -c "ALTER SYSTEM RESET $name"; done
systemctl reload {UNIT}
( {RELOAD_ENOUGH} ) || {{ systemctl restart {UNIT}; {VERIFY} }}
"""

OVERRIDES = """
SELECT format('ALTER %s %s RESET %I',
         CASE WHEN setrole = 0 THEN 'DATABASE' ELSE 'ROLE' END,
         CASE WHEN setrole = 0 THEN quote_ident(datname)
              ELSE quote_ident(rolname)
                   || coalesce(' IN DATABASE ' || quote_ident(datname), '') END,
         split_part(setting, '=', 1))
  FROM pg_db_role_setting
  CROSS JOIN unnest(setconfig) AS setting
  LEFT JOIN pg_roles ON pg_roles.oid = setrole
  LEFT JOIN pg_database ON pg_database.oid = setdatabase
 WHERE split_part(setting, '=', 1) = ANY (string_to_array(:'names', ' '))
"""

OVERRIDES_CHECK = f"""
said=$({PSQL} -v names="$NAMES" <<'SQL'
{OVERRIDES};
SQL
)
[ -z "$said" ] || {{ echo "undone by: $said"; exit 1; }}
"""

OVERRIDES_DO = f"""
{PSQL} -v names="$NAMES" <<'SQL'
{OVERRIDES}
\\gexec
SQL
"""


def settings(ctx: Context) -> dict[str, str]:
    """The documented parameters as this target must have them."""
    return {
        expectation.key: expectation.expected
        for expectation in ctx.expectations.values()
        if expectation.control.component == "postgresql" and expectation.key not in NOT_SETTINGS
    }


def component(ctx: Context) -> Component:
    """Debian's cluster 15/main with our settings beside Debian's own file."""
    own = settings(ctx) | {
        "archive_timeout": ARCHIVE_TIMEOUT,
        "password_encryption": "scram-sha-256",
    }
    names = {"NAMES": " ".join(own)}
    password = {"POSTGRES_PASSWORD": ctx.secrets["POSTGRES_PASSWORD"]}
    packages = ctx.expected("postgresql.packages").split()
    return Component(
        "postgresql",
        (
            *(Package(package) for package in packages),
            Directory(f"{CONFIGURATION}/conf.d", 0o755, "postgres", "postgres"),
            File(
                SETTINGS,
                render("native/postgresql.conf.j2", settings=own),
                0o644,
                "postgres",
                "postgres",
            ),
            File(ACCESS, render("native/pg_hba.conf.j2"), 0o640, "postgres", "postgres"),
            File(
                ENVIRONMENT,
                render("native/postgresql-environment.j2", stanza=STANZA),
                0o644,
                "postgres",
                "postgres",
            ),
            Directory(DROP_IN.rpartition("/")[0]),
            File(DROP_IN, render("native/restart.conf.j2")),
            Unit(UNIT),
            Ensure("server runs with its files", LIVE_CHECK, LIVE_DO, names),
            Ensure("no role or database overrides", OVERRIDES_CHECK, OVERRIDES_DO, names),
            Ensure(
                "role connect",
                ROLE_CHECK,
                ROLE_DO,
                password | {"SCRAM_CHECK": SCRAM_CHECK, "SCRAM_MAKE": SCRAM_MAKE},
            ),
            Ensure("database connect", DATABASE_CHECK, DATABASE_DO),
            Ensure(
                "WAL is archived",
                check=ARCHIVED,
                do=f"cd / && runuser -u postgres -- pgbackrest --stanza={STANZA} check",
            ),
        ),
        validate=VALIDATE,
        verify=VERIFY,
        activation=Activation(
            UNIT,
            reload_ok=True,
            restart_on=frozenset({ENVIRONMENT}),
            reload_enough=RELOAD_ENOUGH,
            log="/var/log/postgresql/postgresql-15-main.log",
        ),
        after=("pgbackrest",),
    )
