"""The documents' own procedures as drills: deploy, roll back, and what a restore must mend.

They use the host's own scripts (/opt/connect/scripts), as an operator does.
"""

from chaos.faults.base import BEFORE, Fault

SCRIPTS = "/opt/connect/scripts"

VERSION = "0.0.0-drill"
"""What the release of a drill calls itself; removed with it."""

DATA = "/var/lib/postgresql/15/main"
CLUSTER = "postgresql@15-main.service"
PSQL = "runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d connect -c"

SEARCH_INDEX = "idx_funding_programs_search"
"""What the drills' reads ask (the stand-in's first migration)."""

CONSUMERS_START = "systemctl start pgbouncer connect nginx prometheus-postgres-exporter"
"""Who was stopped for a restore."""

SERVED = f'test "$(cat /opt/connect/current/VERSION)" = {VERSION}'
NOT_SERVED = f'test "$(cat /opt/connect/current/VERSION)" != {VERSION}'

# The stand-in's own package under another version: a release that differs in nothing else.
PACKAGE = f"""
package=/var/lib/connect-infra/drill-release.tar.gz
work=$(mktemp -d)
tar -xzf "$(ls /opt/connect/releases/connect-*.tar.gz | head -1)" -C "$work"
echo {VERSION} > "$work/VERSION"
tar -czf "$package" -C "$work" .
rm -rf "$work"
"""

DEPLOY = f"{SCRIPTS}/deploy.sh /var/lib/connect-infra/drill-release.tar.gz"

GONE = f"""
if {SERVED}; then {SCRIPTS}/rollback.sh; fi
{NOT_SERVED}
rm -f /var/lib/connect-infra/drill-release.tar.gz
for release in /opt/connect/releases/*/; do
  if [ "$(cat "$release/VERSION" 2>/dev/null)" = {VERSION} ]; then rm -rf "$release"; fi
done
"""


def deploy(number: int) -> Fault:
    """Deploy a release with another version."""
    return Fault(PACKAGE, DEPLOY, SERVED, GONE, NOT_SERVED, version=VERSION)


def roll_back(number: int) -> Fault:
    """Roll back from a release with another version."""
    return Fault(
        f"{PACKAGE}\n{DEPLOY}", f"{SCRIPTS}/rollback.sh", NOT_SERVED, GONE, NOT_SERVED,
        version=BEFORE,
    )  # fmt: skip


def lost_data(number: int) -> Fault:
    """The data directory is deleted, two seconds after the last WAL segment was archived.

    It is moved out of the way instead, so that a failed restore can be undone.
    """
    lost, mark = f"{DATA}.drill-lost", f"$drill/lost-{number}"
    return Fault(
        prepare=f"{SCRIPTS}/backup-database.sh full",
        inject=f"""
segment=$({PSQL} "SELECT pg_walfile_name(pg_switch_wal())")
until [ "$({PSQL} "SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver")" = t ]; do
  sleep 0.2
  tries=$((${{tries:-0}} + 1))
  [ "$tries" -lt 50 ] || exit 1
done
sleep 2
touch {mark}
systemctl kill --signal=KILL {CLUSTER}
mv {DATA} {lost}
""",
        happened=f"test -e {mark} && ! {PSQL} 'SELECT 1' 2>/dev/null",
        undo=f"""
test -d {lost} || exit 0
if ! {PSQL} 'SELECT count(*) FROM funding_programs' >/dev/null 2>&1; then
  systemctl stop {CLUSTER}
  rm -rf {DATA}
  mv {lost} {DATA}
  systemctl reset-failed {CLUSTER} 2>/dev/null || true
  systemctl start {CLUSTER}
fi
rm -rf {lost}
{CONSUMERS_START}
""",
        healed=f"test ! -e {lost} && {PSQL} 'SELECT 1'",
    )


def corrupt_pages(number: int) -> Fault:
    """A bad disk: the search index's pages are nonsense, which a crash brings to light.

    Without data checksums PostgreSQL notices what is wrong with a page's header when it reads it.
    The index is not written to by the drill's work, so nothing mends the file by accident.
    """
    mark = f"/var/lib/connect-infra/drill-corrupt-{number}"
    asks = "SELECT count(*) FROM funding_programs WHERE search @@ to_tsquery('simple', 'zz')"
    search = f'{PSQL} "SET enable_seqscan = off; {asks}"'
    return Fault(
        prepare=f"{SCRIPTS}/backup-database.sh full",
        inject=f"""
{PSQL} CHECKPOINT
file={DATA}/$({PSQL} "SELECT pg_relation_filepath('{SEARCH_INDEX}')")
touch {mark}
dd if=/dev/urandom of="$file" bs=8192 count=4 conv=notrunc,fsync status=none
systemctl kill --signal=KILL {CLUSTER}
""",
        happened=f"{search} 2>&1 | grep -q 'invalid page'",
        undo=f"""
test -e {mark} || exit 0
systemctl reset-failed {CLUSTER} 2>/dev/null || true
systemctl start {CLUSTER}
until {PSQL} 'SELECT 1' >/dev/null 2>&1; do sleep 0.2; done
{search} >/dev/null 2>&1 || {PSQL} 'REINDEX INDEX {SEARCH_INDEX}'
{CONSUMERS_START}
rm -f {mark}
""",
        healed=f"test ! -e {mark} && {search}",
    )


def bad_migration(number: int) -> Fault:
    """A migration drops a table. The moment before it is kept for the point-in-time recovery."""
    kept = f"/var/lib/connect-infra/drill-table-{number}.sql"
    there = f"{PSQL} \"SELECT to_regclass('funding_programs') IS NOT NULL\" | grep -q t"
    return Fault(
        prepare=f"""
{SCRIPTS}/backup-database.sh full
runuser -u postgres -- pg_dump -d connect -Fc > {kept}
""",
        inject=f"""
{PSQL} "SELECT now()" > $drill/before-migration
sleep 0.2
{PSQL} "DROP TABLE funding_programs CASCADE"
""",
        happened=f"test -s $drill/before-migration && ! {there}",
        undo=f"""
test -e {kept} || exit 0
{there} || runuser -u postgres -- pg_restore -d connect -t funding_programs < {kept}
rm -f {kept}
""",
        healed=f"test ! -e {kept} && {there}",
    )


def lost_application(number: int) -> Fault:
    """The current release and the configuration are deleted."""
    kept = f"/var/lib/connect-infra/drill-application-{number}"
    return Fault(
        prepare=f"""
{SCRIPTS}/backup-system.sh
mkdir -p {kept}
cp -a /opt/connect/releases /opt/connect/shared/config {kept}/
""",
        inject="""
rm -rf "$(realpath /opt/connect/current)" /opt/connect/shared/config/ecosystem.config.js \
  /opt/connect/shared/config/.env.production
systemctl kill --signal=KILL connect.service
""",
        happened="test ! -e /opt/connect/current/server.js",
        undo=f"""
test -d {kept} || exit 0
if ! test -e /opt/connect/current/server.js; then
  cp -a {kept}/releases/. /opt/connect/releases/
  cp -a {kept}/config/. /opt/connect/shared/config/
  systemctl restart connect.service
fi
rm -rf {kept}
""",
        healed=f"test -e /opt/connect/current/server.js && test ! -e {kept}",
    )
