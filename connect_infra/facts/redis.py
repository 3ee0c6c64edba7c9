"""What the two Redis servers say about themselves, and what their files say beside it.

`CONFIG GET` and `INFO` are the truth; the file shows what the next start would make of it. A
password that is not the target's own is never kept: it reads as "another value".
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from connect_infra.errors import ObservationError
from connect_infra.facts.base import Output

NAME = "redis"

Instance = Literal["cache", "queue"]
PORTS: Mapping[Instance, int] = {"cache": 6379, "queue": 6380}
FILES: Mapping[Instance, str] = {
    "cache": "/etc/redis/redis-cache.conf",
    "queue": "/etc/redis/redis-queue.conf",
}
PIDFILES: Mapping[Instance, str] = {
    "cache": "/run/redis/redis-cache.pid",
    "queue": "/run/redis/redis-queue.pid",
}

ANOTHER = "another value"
"""What a password reads as that is neither empty nor the target's own."""

_SECRETS = frozenset({"requirepass", "masterauth", "primaryauth", "tls-key-file-pass"})
_REFERENCE = re.compile(r"«secret [A-Z0-9_]+»")


def _commands(instance: Instance) -> dict[str, str]:
    port = PORTS[instance]
    secret = f"REDIS_{instance.upper()}_PASSWORD"
    client = f"redis-cli --no-auth-warning -h 127.0.0.1 -p {port}"
    return {
        f"{instance}.server": f"printf 'ECHO @@config\\nCONFIG GET *\\nECHO @@info\\nINFO\\n' | "
        f'REDISCLI_AUTH="${secret}" {client}',
        # redis-cli's exit code for a refusal differs between versions; what it prints does not.
        f"{instance}.stranger": f"env -u REDISCLI_AUTH {client} PING 2>&1 || true",
        f"{instance}.file": f"cat {FILES[instance]}",
        f"{instance}.pidfile": f"cat {PIDFILES[instance]} 2>/dev/null || echo none",
    }


COMMANDS: Mapping[str, str] = {**_commands("cache"), **_commands("queue")}


@dataclass(frozen=True)
class RedisServer:
    """One running server, and its file and PID file beside it."""

    config: Mapping[str, str]
    info: Mapping[str, str]
    file: Mapping[str, str]
    pidfile: str

    @property
    def version(self) -> str:
        """The server's own version."""
        return self.info["redis_version"]


@dataclass(frozen=True)
class RedisFacts:
    """Both servers; each is read only when asked for, so that one's failure leaves the other."""

    outputs: Mapping[str, Output]

    @cached_property
    def cache(self) -> RedisServer:
        """The cache on 6379; raises ObservationError when it can't be read."""
        return _server("cache", self.outputs)

    @cached_property
    def queue(self) -> RedisServer:
        """The queue on 6380; raises ObservationError when it can't be read."""
        return _server("queue", self.outputs)

    def stranger(self, instance: Instance) -> str:
        """Return what the server answers to a PING without a password."""
        what = f"PING of redis-{instance} without a password"
        return self.outputs[f"{instance}.stranger"].text(what).strip()

    def password(self, instance: Instance) -> str:
        """Return what requirepass is: "", a secret's reference, or "another value".

        A server that refuses the target's own password has another one, which is an answer.
        """
        answer = self.outputs[f"{instance}.server"].stdout
        if answer.startswith(("NOAUTH", "WRONGPASS")):
            return ANOTHER
        server = self.cache if instance == "cache" else self.queue
        return server.config["requirepass"]


def parse(outputs: Mapping[str, Output]) -> RedisFacts:
    """Keep the outputs; each server is parsed, and may raise ObservationError, when asked for."""
    return RedisFacts(outputs=outputs)


def _server(instance: Instance, outputs: Mapping[str, Output]) -> RedisServer:
    where = f"redis-{instance} on {PORTS[instance]}"
    text = outputs[f"{instance}.server"].text(f"CONFIG GET and INFO of {where}")
    config, info = _sections(text, where)
    return RedisServer(
        config=config,
        info=info,
        file=read_file(outputs[f"{instance}.file"].text(FILES[instance]), FILES[instance]),
        pidfile=outputs[f"{instance}.pidfile"].text(PIDFILES[instance]).strip(),
    )


def _sections(text: str, where: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    match = re.fullmatch(r"@@config\n(.*)\n@@info\n(.*)", text.replace("\r\n", "\n"), re.DOTALL)
    if match is None:
        raise _junk(where, "the answers to CONFIG GET and INFO", text)
    lines = match[1].split("\n")
    if len(lines) % 2:
        raise _junk(where, "a value for each parameter", match[1])
    config = {key: _hidden(key, value) for key, value in zip(lines[::2], lines[1::2], strict=True)}
    info = dict(
        line.partition(":")[::2]
        for line in match[2].splitlines()
        if ":" in line and not line.startswith("#")
    )
    if "redis_version" not in info or "requirepass" not in config:
        raise _junk(where, "redis_version in INFO and requirepass in CONFIG GET", text)
    return config, info


def read_file(text: str, where: str) -> Mapping[str, str]:
    """Read a redis.conf: the last line of a directive wins; ObservationError when it isn't one."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            key, *words = shlex.split(line)
        except ValueError as problem:
            raise ObservationError(
                expected="directives of a redis.conf",
                found=f"a line with an open quotation ({problem})",
                where=where,
                remedy="correct the file on the host, or run connect-infra apply",
            ) from problem
        values[key.lower()] = _hidden(key.lower(), " ".join(words))
    return values


def _hidden(key: str, value: str) -> str:
    if key in _SECRETS and value and not _REFERENCE.fullmatch(value):
        return ANOTHER
    return value


def _junk(where: str, expected: str, found: str) -> ObservationError:
    # The first line only, and never a value: the rest may hold a password.
    return ObservationError(
        expected=expected,
        found=repr(found.partition("\n")[0][:60]),
        where=where,
        remedy="see the server's unit and log on the host",
    )
