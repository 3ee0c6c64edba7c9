"""What the running PostgreSQL server says about itself, asked in one statement.

`pg_settings` is the truth; `pg_file_settings` shows what a reload or restart would make of it, and
`pg_db_role_setting` who gets something else. The names are PostgreSQL's own.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from connect_infra.errors import ObservationError
from connect_infra.facts.base import Output

NAME = "postgresql"

_QUERY = """
SELECT json_build_object(
  'settings', (SELECT json_object_agg(name, json_build_object(
      'value', current_setting(name, true), 'unit', unit, 'vartype', vartype, 'source', source,
      'sourcefile', sourcefile, 'pending_restart', pending_restart)) FROM pg_settings),
  'file_settings', (SELECT coalesce(json_agg(json_build_object(
      'sourcefile', sourcefile, 'sourceline', sourceline, 'name', name, 'setting', setting,
      'applied', applied, 'error', error) ORDER BY seqno), '[]') FROM pg_file_settings),
  'hba', (SELECT coalesce(json_agg(row_to_json(rule)), '[]') FROM pg_hba_file_rules AS rule),
  'roles', (SELECT json_object_agg(rolname, json_build_object(
      'login', rolcanlogin, 'superuser', rolsuper, 'createdb', rolcreatedb,
      'createrole', rolcreaterole, 'replication', rolreplication,
      'password', CASE WHEN rolpassword IS NULL THEN 'none'
        WHEN rolpassword LIKE 'SCRAM-SHA-256$%' THEN 'scram-sha-256'
        WHEN rolpassword LIKE 'md5%' THEN 'md5' ELSE 'unknown' END)) FROM pg_authid),
  'databases', (SELECT json_object_agg(datname, pg_get_userbyid(datdba)) FROM pg_database),
  'overrides', (SELECT coalesce(json_agg(json_build_object(
      'database', coalesce((SELECT datname FROM pg_database WHERE oid = setdatabase), ''),
      'role', CASE WHEN setrole = 0 THEN '' ELSE pg_get_userbyid(setrole) END,
      'setting', setting)), '[]') FROM pg_db_role_setting, unnest(setconfig) AS setting),
  'archiver', (SELECT row_to_json(archiver) FROM pg_stat_archiver AS archiver),
  'waiting', (SELECT extract(epoch FROM now() - min(modification))
      FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
  'recovery', pg_is_in_recovery(),
  'version', current_setting('server_version'),
  'started', extract(epoch FROM pg_postmaster_start_time()))
"""

COMMANDS: Mapping[str, str] = {
    "server": "runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d postgres <<'SQL'\n"
    f"{_QUERY.strip()};\nSQL",
}

_REMEDY = "see `systemctl status postgresql@15-main` and the server's log on the host"


@dataclass(frozen=True)
class Setting:
    """One row of pg_settings; `value` is what SHOW prints, with the unit."""

    value: str
    vartype: str
    unit: str | None
    source: str
    sourcefile: str | None
    pending_restart: bool


@dataclass(frozen=True)
class FileSetting:
    """One line of the configuration files as pg_file_settings reads them now."""

    sourcefile: str | None
    sourceline: int | None
    name: str | None
    setting: str | None
    applied: bool
    error: str | None


@dataclass(frozen=True)
class HbaRule:
    """One loaded line of pg_hba.conf."""

    line: int
    type: str | None
    database: tuple[str, ...]
    user: tuple[str, ...]
    address: str | None
    method: str | None
    error: str | None


@dataclass(frozen=True)
class Role:
    """A role's attributes; `password` is only the way it is stored."""

    login: bool
    superuser: bool
    createdb: bool
    createrole: bool
    replication: bool
    password: str


@dataclass(frozen=True)
class Override:
    """A setting that one database or role gets instead of the server's; empty means every one."""

    database: str
    role: str
    name: str
    value: str


@dataclass(frozen=True)
class Archiver:
    """What pg_stat_archiver has counted since the statistics began (a crash resets them).

    `waiting` is for how many seconds the oldest WAL file has been ready to be archived, None if
    none is.
    """

    archived: int
    last_archived: str | None
    last_archived_time: str | None
    failed: int
    last_failed: str | None
    last_failed_time: str | None
    waiting: float | None


@dataclass(frozen=True)
class PostgresqlFacts:
    """The server as it runs. `started` is in seconds of the epoch."""

    settings: Mapping[str, Setting]
    file_settings: tuple[FileSetting, ...]
    hba: tuple[HbaRule, ...]
    roles: Mapping[str, Role]
    databases: Mapping[str, str]
    overrides: tuple[Override, ...]
    archiver: Archiver
    recovery: bool
    version: str
    started: float

    def on_disk(self, name: str) -> FileSetting | None:
        """Return the line that would win at the next start, None if no file has one.

        That is the last one; its `error` says so where it waits for that start, or is wrong.
        """
        lines = [line for line in self.file_settings if line.name == name]
        return lines[-1] if lines else None

    def meant(self, name: str, text: str) -> str:
        """Return what a configuration's text means to the server, with its unit.

        Whole numbers may be hexadecimal or octal; a bare one counts in the setting's own unit
        (PostgreSQL 15, 20.1.1), which may itself be a number of others, such as 8kB.
        """
        setting = self.settings[name]
        number = _whole_number(text) if setting.vartype in {"integer", "real"} else None
        if number is None:
            return text
        times, unit = _UNIT.fullmatch(setting.unit or "").groups()  # type: ignore[union-attr]
        return f"{number * int(times or 1)}{unit}"

    def overridden(self, name: str) -> tuple[Override, ...]:
        """Return what databases or roles get instead of the server's value."""
        return tuple(one for one in self.overrides if one.name == name)


_UNIT = re.compile(r"([0-9]*)([A-Za-z]*)")


def _whole_number(text: str) -> int | None:
    """As strtol(3) with base 0 reads it, which is what the server uses; None if it is none."""
    with suppress(ValueError):
        if re.fullmatch(r"[+-]?0[0-7]+", text.strip()):
            return int(text, 8)
        return int(text, 0)
    return None


def parse(outputs: Mapping[str, Output]) -> PostgresqlFacts:
    """Read the one JSON object; raises ObservationError on anything else."""
    text = outputs["server"].text("the server's settings through psql as postgres")
    try:
        return _facts(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
        raise ObservationError(
            expected="one JSON object with the server's settings",
            found=f"{text[:60]!r} ({type(problem).__name__})",
            where="psql on the host",
            remedy=_REMEDY,
        ) from problem


def _facts(data: dict[str, Any]) -> PostgresqlFacts:
    archiver = data["archiver"]
    return PostgresqlFacts(
        settings={name: _setting(row) for name, row in data["settings"].items()},
        file_settings=tuple(_file_setting(row) for row in data["file_settings"]),
        hba=tuple(_rule(row) for row in data["hba"]),
        roles={name: Role(**row) for name, row in data["roles"].items()},
        databases=dict(data["databases"].items()),
        overrides=tuple(_override(row) for row in data["overrides"]),
        archiver=Archiver(
            archived=int(archiver["archived_count"]),
            last_archived=archiver["last_archived_wal"],
            last_archived_time=archiver["last_archived_time"],
            failed=int(archiver["failed_count"]),
            last_failed=archiver["last_failed_wal"],
            last_failed_time=archiver["last_failed_time"],
            waiting=None if data["waiting"] is None else float(data["waiting"]),
        ),
        recovery=bool(data["recovery"]),
        version=str(data["version"]),
        started=float(data["started"]),
    )


def _setting(row: dict[str, Any]) -> Setting:
    return Setting(
        # A value that the server hides from everybody reads as null.
        value=row["value"] if row["value"] is not None else "",
        vartype=row["vartype"],
        unit=row["unit"],
        source=row["source"],
        sourcefile=row["sourcefile"],
        pending_restart=bool(row["pending_restart"]),
    )


def _file_setting(row: dict[str, Any]) -> FileSetting:
    return FileSetting(
        sourcefile=row["sourcefile"],
        sourceline=row["sourceline"],
        name=row["name"],
        setting=row["setting"],
        applied=bool(row["applied"]),
        error=row["error"],
    )


def _rule(row: dict[str, Any]) -> HbaRule:
    return HbaRule(
        line=int(row["line_number"]),
        type=row["type"],
        database=tuple(row["database"] or ()),
        user=tuple(row["user_name"] or ()),
        address=row["address"],
        method=row["auth_method"],
        error=row["error"],
    )


def _override(row: dict[str, Any]) -> Override:
    name, _, value = row["setting"].partition("=")
    return Override(database=row["database"], role=row["role"], name=name, value=value)
