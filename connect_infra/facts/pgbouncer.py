"""What PgBouncer's admin console says, and what its file says beside it.

The console shows the running values; the file shows what a reload would make of them. A password in
either is replaced here, before anything can show it.
"""

import configparser
import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

from connect_infra.errors import ObservationError
from connect_infra.facts.base import Output

NAME = "pgbouncer"

ADMIN = "pgbouncer_admin"
"""The console's user; its password is the secret PGBOUNCER_ADMIN_PASSWORD."""

FILE = "/etc/pgbouncer/pgbouncer.ini"
SHOWN = ("CONFIG", "DATABASES", "POOLS", "VERSION")

_SHOWS = " ".join(f"-c '\\echo @@{name}' -c 'SHOW {name}'" for name in SHOWN)

COMMANDS: Mapping[str, str] = {
    "console": 'PGPASSWORD="$PGBOUNCER_ADMIN_PASSWORD" PGCONNECT_TIMEOUT=5 '
    f"psql -Xq --no-password --csv -h 127.0.0.1 -p 6432 -U {ADMIN} -d pgbouncer {_SHOWS}",
    "file": f"cat {FILE}",
}

HIDDEN = "(hidden)"
_SECRET_WORDS = ("password", "auth_query")


@dataclass(frozen=True)
class Parameter:
    """One running parameter and whether a reload can change it."""

    value: str
    default: str
    changeable: bool


@dataclass(frozen=True)
class PgbouncerFacts:
    """The running pooler and its file. Rows of databases and pools are keyed by their columns."""

    config: Mapping[str, Parameter]
    databases: Mapping[str, Mapping[str, str]]
    pools: tuple[Mapping[str, str], ...]
    version: str
    file: Mapping[str, Mapping[str, str]]

    def database_line(self, name: str) -> str:
        """Return a running database as its line in the file would read, "" when there is none."""
        row = self.databases.get(name)
        if row is None:
            return ""
        parts = {
            "host": row.get("host", ""),
            "port": row.get("port", ""),
            "dbname": row.get("database", ""),
            "user": row.get("force_user", ""),
        }
        return " ".join(f"{key}={value}" for key, value in parts.items() if value)


def parse(outputs: Mapping[str, Output]) -> PgbouncerFacts:
    """Read console and file; raises ObservationError on anything that is not theirs."""
    tables = _tables(outputs["console"].text(f"PgBouncer's console as {ADMIN}"))
    version = tables["VERSION"]
    if not version:
        raise _junk("a version", "none")
    return PgbouncerFacts(
        config={_cell(row, "key"): _parameter(row) for row in tables["CONFIG"]},
        databases={_cell(row, "name"): row for row in tables["DATABASES"]},
        pools=tuple(tables["POOLS"]),
        version=_cell(version[0], "version"),
        file=read_file(outputs["file"].text(FILE)),
    )


def read_file(text: str) -> Mapping[str, Mapping[str, str]]:
    """Read an ini file's sections; ObservationError when it isn't one. Passwords are hidden."""
    ini = configparser.RawConfigParser(
        delimiters=("=",), comment_prefixes=(";", "#"), strict=False, default_section="\0"
    )
    try:
        ini.read_string(text)
    except configparser.Error as problem:
        raise ObservationError(
            expected="sections with key = value lines",
            found=f"{type(problem).__name__}",
            where=FILE,
            remedy="correct the file on the host, or run connect-infra apply",
        ) from problem
    return {
        section: {key: _without_password(value) for key, value in ini.items(section)}
        for section in ini.sections()
    }


def _without_password(value: str) -> str:
    words = [
        f"{word.partition('=')[0]}={HIDDEN}"
        if word.partition("=")[0] in _SECRET_WORDS and "=" in word
        else word
        for word in value.split(" ")
    ]
    return " ".join(words)


def _tables(text: str) -> dict[str, list[dict[str, str]]]:
    parts = text.split("@@")
    if [part.partition("\n")[0] for part in parts[1:]] != list(SHOWN) or parts[0].strip():
        raise _junk(f"the tables {', '.join(SHOWN)}", repr(text[:60]))
    return {
        name: _rows(part.partition("\n")[2]) for name, part in zip(SHOWN, parts[1:], strict=True)
    }


def _rows(text: str) -> list[dict[str, str]]:
    try:
        header, *rows = list(csv.reader(io.StringIO(text), strict=True)) or [[]]
    except csv.Error as problem:
        raise _junk("comma-separated rows", repr(text[:60])) from problem
    if not header or any(len(row) != len(header) for row in rows):
        raise _junk("rows as long as their header", repr(text[:60]))
    return [dict(zip(header, row, strict=True)) for row in rows]


def _parameter(row: Mapping[str, str]) -> Parameter:
    return Parameter(
        value=_cell(row, "value"),
        default=row.get("default", ""),
        changeable=_cell(row, "changeable") == "yes",
    )


def _cell(row: Mapping[str, str], name: str) -> str:
    if name not in row:
        raise _junk(f"a column {name}", ", ".join(row))
    return row[name]


def _junk(expected: str, found: str) -> ObservationError:
    return ObservationError(
        expected=expected,
        found=found,
        where="PgBouncer's console",
        remedy="see `systemctl status pgbouncer` and its log on the host",
    )
