"""pgBackRest: its configuration, its repository, and the stanza of the one cluster.

It comes before postgresql: the stanza is made while the cluster still runs as Debian made it,
so that WAL archiving works from the first segment on.
"""

from collections.abc import Mapping

from provisioning.component import Component, Context
from provisioning.render import render
from provisioning.resources import Directory, Ensure, File, Package, Unit

FILE = "/etc/pgbackrest/pgbackrest.conf"
STANZA = "connect"
AS_POSTGRES = "cd / && runuser -u postgres -- "

VALIDATE = f"""
chmod -R go+rX "$STAGE"
{AS_POSTGRES} pgbackrest --config="$STAGE{FILE}" --log-level-file=off --log-level-console=warn \\
  --stanza={STANZA} info >/dev/null
said=$({AS_POSTGRES} pgbackrest --config="$STAGE{FILE}" --log-level-file=off \\
  --log-level-console=warn --stanza={STANZA} info 2>&1 | grep WARN) || exit 0
echo "$said"; exit 1
"""

INFO = f"{AS_POSTGRES} pgbackrest --stanza={STANZA} --log-level-console=error info --output=json"


def sections(ctx: Context) -> Mapping[str, Mapping[str, str]]:
    """The documented options by section of the file."""
    found: dict[str, dict[str, str]] = {}
    for expectation in ctx.expectations.values():
        if expectation.control.component == "pgbackrest":
            section, _, option = expectation.key.partition(".")
            found.setdefault(section, {})[option] = expectation.expected
    return found


def component(ctx: Context) -> Component:
    """Package, file, directories of user postgres, and the stanza."""
    repository = ctx.expected("pgbackrest.global.repo1-path")
    content = render("native/pgbackrest.conf.j2", sections=sections(ctx))
    return Component(
        "pgbackrest",
        (
            Package("postgresql-15"),
            Package("pgbackrest"),
            Directory(repository, 0o750, "postgres", "postgres"),
            Directory(ctx.expected("pgbackrest.global.log-path"), 0o750, "postgres", "postgres"),
            Directory("/etc/pgbackrest", 0o755),
            File(FILE, content, 0o640, "postgres", "postgres"),
            Unit("postgresql.service", enabled=True, running=True),
            Ensure(
                f"stanza {STANZA}",
                # 0 is ok, 2 is "no valid backups": the stanza is there.
                check=f"{INFO} | jq -e '.[0].status.code | . == 0 or . == 2' >/dev/null",
                do="for second in $(seq 60); do runuser -u postgres -- pg_isready -q && break; "
                f"sleep 1; done; {AS_POSTGRES} pgbackrest --stanza={STANZA} stanza-create",
            ),
        ),
        validate=VALIDATE,
        after=("host", "layout"),
    )
