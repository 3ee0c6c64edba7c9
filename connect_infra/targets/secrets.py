"""A target's secrets: read from a private file of its own, never shown.

The documents print placeholders (`secure_password_here`, `your_sentry_dsn`); a source that still
holds one is refused.
"""

import os
import re
import secrets as random
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from connect_infra.document import Topology
from connect_infra.errors import InventoryError
from connect_infra.targets.target import Target

PASSWORDS = (
    "POSTGRES_PASSWORD",
    "PGBOUNCER_ADMIN_PASSWORD",
    "REDIS_CACHE_PASSWORD",
    "REDIS_QUEUE_PASSWORD",
)
OTHERS = (
    "JWT_SECRET",
    "ENCRYPTION_KEY",
    "KAKAO_CLIENT_ID",
    "KAKAO_CLIENT_SECRET",
    "NAVER_CLIENT_ID",
    "NAVER_CLIENT_SECRET",
    "TOSS_CLIENT_KEY",
    "TOSS_SECRET_KEY",
    "SENTRY_DSN",
)
"""The secrets that the application's environment names as they are named here."""

NAMES = (*PASSWORDS, *OTHERS)
"""Every secret of the documents, by the name it has in document A, 6.2, where it has one."""

NAMES_OF: Mapping[Topology, tuple[str, ...]] = {
    "native": NAMES,
    "containers": (
        "POSTGRES_PASSWORD",
        "POSTGRES_ADMIN_PASSWORD",
        "REPLICATION_PASSWORD",
        "PATRONI_PASSWORD",
        "REDIS_PASSWORD",
        "NEXTAUTH_SECRET",
        "ENCRYPTION_KEY",
    ),
}
"""The secrets of each topology. Document S names REDIS_PASSWORD, NEXTAUTH_SECRET and the database's
URL, of which POSTGRES_PASSWORD is the secret part; the others are what Patroni and the release need
beside them."""

PLACEHOLDER = re.compile(r"your_\w*|\w*_here|password|(secure|cache|queue)_\w*password")
"""What documents A and S print in the place of a secret."""

_PASSWORD = re.compile(r"[A-Za-z0-9._~-]+")
_PRINTABLE = re.compile(r"[!-~]+")


class Secrets(Mapping[str, str]):
    """The secrets of one target, by name; its `repr` shows the names only."""

    def __init__(self, values: Mapping[str, str]) -> None:
        """Keep a copy of the values."""
        self._values = dict(values)

    def __getitem__(self, name: str) -> str:
        """Return one secret."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._values)

    def __len__(self) -> int:
        """Count the secrets."""
        return len(self._values)

    def __repr__(self) -> str:
        """Name the secrets, hide the values."""
        return f"Secrets({', '.join(self._values)})"


def load_secrets(target: Target) -> Secrets:
    """Return the target's secrets, every one that its topology has.

    The file is TOML (`*.toml`) or NAME=value lines, and readable by its owner only. Raises
    InventoryError, which names the secret and never shows its value.
    """
    if target.secrets is None:
        raise _refused(f"target {target.name}", "a secrets file", "none", "set `secrets` for it")
    return _read(target.secrets, NAMES_OF[target.topology])


def generate_secrets(path: Path, topology: Topology = "native") -> Secrets:
    """Return a lab's secrets at `path`; where there is no file, make a TOML file, mode 600.

    What is there is kept, because running hosts have it. Lengths follow document A, 6.2:
    JWT_SECRET at least 64 characters, ENCRYPTION_KEY 32. Raises InventoryError as load_secrets.
    """
    names = NAMES_OF[topology]
    if path.exists():
        return _read(path, names)
    values = {name: _GENERATED.get(name, _password)() for name in names}
    text = "".join(f'{name} = "{value}"\n' for name, value in values.items())
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)  # what an interrupted run left
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    beside.rename(path)
    return Secrets(values)


def _password() -> str:
    return random.token_hex(24)


_GENERATED: Mapping[str, Callable[[], str]] = {
    "JWT_SECRET": lambda: random.token_hex(48),
    "NEXTAUTH_SECRET": lambda: random.token_hex(48),
    "ENCRYPTION_KEY": lambda: random.token_hex(16),
    "SENTRY_DSN": lambda: f"https://{random.token_hex(16)}@sentry.invalid/1",
}
"""Secrets that are no passwords of the default length."""


def _read(file: Path, names: Sequence[str]) -> Secrets:
    try:
        mode = file.stat().st_mode & 0o777
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        found = getattr(problem, "strerror", None) or "bytes that are no UTF-8"
        raise _refused(str(file), "a readable file", found, "create or correct it") from problem
    if mode & 0o077:
        remedy = f"run chmod 600 {file}"
        raise _refused(str(file), "a file for its owner only (mode 600)", f"mode {mode:o}", remedy)
    values = _toml(file, text) if file.suffix == ".toml" else parse_lines(file, text)
    _check(file, values, names)
    return Secrets({name: values[name] for name in names})


def _toml(file: Path, text: str) -> dict[str, str]:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        found = f"a mistake {str(problem).rpartition('(')[2].rstrip(')')}"
        raise _refused(str(file), "TOML", found, "correct it") from None
    for name, value in content.items():
        if not isinstance(value, str):
            raise _refused(f"{file}, {name}", "a string", type(value).__name__, "quote it")
    return content


def parse_lines(file: Path, text: str) -> dict[str, str]:
    """Return what a file of NAME=value lines holds; InventoryError names file and line."""
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or name.strip() in values:
            found = "a name given twice" if equals else "a line without ="
            raise _refused(f"{file}, line {number}", "NAME=value", found, "correct it")
        values[name.strip()] = _unquoted(value.strip())
    return values


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def _check(file: Path, values: Mapping[str, str], names: Sequence[str]) -> None:
    for what, wrong in (
        ("is missing", [name for name in names if name not in values]),
        ("is unknown", [name for name in values if name not in names]),
    ):
        if wrong:
            found = f"that {', '.join(wrong)} {what}"
            raise _refused(str(file), f"the {len(names)} documented secrets", found, "correct it")
    for name in names:
        _check_value(f"{file}, {name}", values[name], name.endswith("_PASSWORD"))


def _check_value(where: str, value: str, password: bool) -> None:
    if PLACEHOLDER.fullmatch(value):
        raise _refused(where, "a secret", "the documents' placeholder", "put the real one there")
    if not _PRINTABLE.fullmatch(value):
        raise _refused(where, "printable ASCII without blanks", "something else", "change it")
    if password and not _PASSWORD.fullmatch(value):
        expected = "letters, digits and . _ ~ - (it stands in URLs and configuration files)"
        raise _refused(where, expected, "other characters", "choose another password")


def _refused(where: str, expected: str, found: str, remedy: str) -> InventoryError:
    return InventoryError(expected=expected, found=found, where=where, remedy=remedy)
