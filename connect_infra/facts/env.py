"""The application's environment file: who may read it and what it sets, without its secrets.

Secrets are judged where they are. The host sends back whether a value is set, how long it is,
whether it is one of the documents' placeholders and whether it is the target's own; a password in
a URL is cut out. So a report can't hold a secret, also on a target whose secrets nobody gave us.
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connect_infra.errors import ObservationError
from connect_infra.facts.base import Output
from connect_infra.targets.secrets import OTHERS

NAME = "env"

PATH = "/opt/connect/shared/config/.env.production"

PLAIN = ("NODE_ENV", "PORT", "SOCKET_PATH")
"""Variables whose values are no secrets and are shown as they are."""

PASSWORD_OF = {
    "DATABASE_URL": "POSTGRES_PASSWORD",
    "REDIS_CACHE_URL": "REDIS_CACHE_PASSWORD",
    "REDIS_QUEUE_URL": "REDIS_QUEUE_PASSWORD",
}
"""The target's secret that is the password in each URL; elsewhere the names are the same."""

SECRET = (*PASSWORD_OF, *OTHERS)
"""Variables that are or hold a secret (document A, 6.2). Others are nobody's business here."""

# Runs on the host. `judge` turns an environment into what may be told about it; the placeholders
# are those of document A (3.3, 3.4, 6.2): `your_…`, `…_here`, and its sample passwords.
JUDGE = f"""
import hmac, json, os, pathlib, re
PLAIN, SECRET, PASSWORD_OF = {PLAIN!r}, {SECRET!r}, {PASSWORD_OF!r}
PASSWORD = re.compile(r"(?<=://)([^:@/]*):([^@]*)@")
SAMPLE = re.compile(r"your_.*|.*_here|(cache_|queue_|secure_.*)?password|.*_chars_minimum")
def secret_of(name, value):
    if name in PLAIN:
        return ""
    match = PASSWORD.search(value)
    return match[2] if match else value
def judge(environment):
    told = {{}}
    for name, value in environment.items():
        if name not in PLAIN + SECRET:
            continue
        value, secret = str(value), secret_of(name, str(value))
        shown = value if name in PLAIN else "<set>" if value else "<empty>"
        if PASSWORD.search(value):
            shown = PASSWORD.sub(r"\\1:<secret>@", value)
        ours = os.environ.get(PASSWORD_OF.get(name, name), "") if name not in PLAIN else ""
        told[name] = {{
            "shown": shown, "length": len(value), "placeholder": bool(SAMPLE.fullmatch(secret)),
            "ours": hmac.compare_digest(secret.encode(), ours.encode()) if ours else None,
        }}
    return told
def read(path):
    lines = pathlib.Path(path).read_text().splitlines()
    pairs = [line.partition("=")[::2] for line in lines if line and not line.startswith("#")]
    return {{name: value.strip("\\"'") for name, value in pairs}}
"""

_FILE = f"""{JUDGE}
import grp, pwd, stat
state = os.stat({PATH!r})
print(json.dumps({{
    "mode": "%o" % stat.S_IMODE(state.st_mode), "owner": pwd.getpwuid(state.st_uid).pw_name,
    "group": grp.getgrgid(state.st_gid).gr_name, "variables": judge(read({PATH!r})),
}}))
"""

# Looks for each secret in what everybody may read: the process list, and files that a user without
# rights can reach (every directory above lets others pass). Bigger files are data, not settings.
_EXPOSED = f"""{JUDGE}
secrets = {{name: secret_of(name, value).encode() for name, value in read({PATH!r}).items()}}
secrets = {{name: value for name, value in secrets.items() if len(value) >= 8}}
def holds(content):
    return sorted(name for name, value in secrets.items() if value in content)
def reachable(directory):
    try:
        entries = list(os.scandir(directory))
    except (FileNotFoundError, PermissionError):
        return
    for entry in entries:
        try:
            state = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if entry.is_dir(follow_symlinks=False):
            if state.st_mode & 0o001 and entry.name not in ("node_modules", "proc", "sys"):
                yield from reachable(entry.path)
        elif entry.is_file(follow_symlinks=False):
            if state.st_mode & 0o004 and state.st_size < 2_000_000:
                yield entry.path
found = []
for root in ("/etc", "/opt/connect", "/home", "/var/log", "/run", "/tmp"):
    for path in reachable(root):
        try:
            names = holds(pathlib.Path(path).read_bytes())
        except OSError:
            continue
        found += [path + " holds " + name for name in names]
for line in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    try:
        names = holds(line.read_bytes())
        title = (line.parent / "comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        continue
    found += ["the arguments of " + title + " hold " + name for name in names]
print(json.dumps({{"looked_for": sorted(secrets), "found": sorted(found)}}))
"""

COMMANDS: Mapping[str, str] = {
    "file": f"python3 -c {shlex.quote(_FILE)}",
    "exposed": f"python3 -c {shlex.quote(_EXPOSED)}",
}


@dataclass(frozen=True)
class Variable:
    """What may be told about one variable.

    `shown`: the value, with its secret cut out. `ours`: whether the secret is the target's own;
    None where the target gave none to compare with.
    """

    shown: str
    length: int
    placeholder: bool
    ours: bool | None

    @property
    def verdict(self) -> str:
        """In one word or two, why this can't be the secret it must be; else `set`."""
        if not self.length:
            return "empty"
        if self.placeholder:
            return "the documented placeholder"
        return "another value than the target's secret" if self.ours is False else "set"


@dataclass(frozen=True)
class EnvFacts:
    """The environment file. `exposed`: places where a user without rights can read a secret."""

    mode: str
    owner: str
    group: str
    variables: Mapping[str, Variable]
    looked_for: tuple[str, ...]
    exposed: tuple[str, ...]


def parse(outputs: Mapping[str, Output]) -> EnvFacts:
    """Facts from the commands' outputs; ObservationError on a missing file or junk."""
    file = decode(outputs["file"].text(PATH), NAME)
    exposure = decode(outputs["exposed"].text("the search for readable secrets"), NAME)
    try:
        return EnvFacts(
            mode=str(file["mode"]),
            owner=str(file["owner"]),
            group=str(file["group"]),
            variables=variables(file["variables"]),
            looked_for=tuple(exposure["looked_for"]),
            exposed=tuple(exposure["found"]),
        )
    except (KeyError, TypeError, AttributeError) as problem:
        raise _junk(str(problem), NAME) from problem


def variables(told: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Variable]:
    """What `JUDGE` told about an environment, by variable."""
    return {name: Variable(**about) for name, about in told.items()}


def decode(text: str, where: str) -> dict[str, Any]:
    """A JSON object that one of our programs printed on the host; ObservationError if it's not."""
    try:
        found = json.loads(text)
    except ValueError as problem:
        raise _junk(repr(text[:80]), where) from problem
    if not isinstance(found, dict):
        raise _junk(type(found).__name__, where)
    return found


def mask(url: str) -> str:
    """A documented URL as facts show it: its sample password cut out."""
    return re.sub(r"(?<=://)([^:@/]*):([^@]*)@", r"\1:<secret>@", url)


def _junk(found: str, where: str) -> ObservationError:
    return ObservationError(
        expected="what our program prints on the host",
        found=found,
        where=where,
        remedy="see whether python3 works on the host",
    )
