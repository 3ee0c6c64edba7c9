"""Documented controls as one shell command each, as a hand-written testinfra suite has them."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connect_infra.document import Expectation
from connect_infra.errors import ConnectInfraError

ENV_FILE = "/opt/connect/shared/config/.env.production"
ROOT = "/opt/connect/"
LEFT_OUT = frozenset({"redis-cache.requirepass", "redis-queue.requirepass"})
"""Secrets: no command shows them."""


@dataclass(frozen=True)
class Check:
    """One command (sh, run as root) whose output shows one control."""

    expectation: Expectation
    command: str

    def holds(self, code: int, output: str) -> bool:
        """Whether the output is what the control expects; False when it can't be read."""
        text = output.removesuffix("\n")
        if code != 0:
            return False
        if self.expectation.control.component in {"layout", "cron.pgbackrest"}:
            return bool(text)
        try:
            return self.expectation.parse(text) == self.expectation.value
        except ConnectInfraError:
            return False


def _postgresql(key: str) -> str:
    return f"runuser -u postgres -- psql -XAtq -d postgres -c {shlex.quote('SHOW ' + key)}"


def _redis(variable: str, port: int) -> Callable[[str], str]:
    def command(key: str) -> str:
        password = f"$(sed -n 's|^{variable}=[^:]*://[^:]*:\\([^@]*\\)@.*|\\1|p' {ENV_FILE})"
        return (
            f'REDISCLI_AUTH="{password}" redis-cli --no-auth-warning -p {port} '
            f"CONFIG GET {key} | sed -n 2p"
        )

    return command


def _ini(path: str) -> Callable[[str], str]:
    def command(key: str) -> str:
        name = key.partition(".")[2]
        return f"sed -n 's/^{name} *= *//p' {path} | head -n1 | grep ."

    return command


def _sshd(key: str) -> str:
    return f"sshd -T | sed -n 's/^{key.lower()} //p' | grep ."


COMMANDS: Mapping[str, Callable[[str], str]] = {
    "postgresql": _postgresql,
    "redis-cache": _redis("REDIS_CACHE_URL", 6379),
    "redis-queue": _redis("REDIS_QUEUE_URL", 6380),
    "pgbouncer": _ini("/etc/pgbouncer/pgbouncer.ini"),
    "pgbackrest": _ini("/etc/pgbackrest/pgbackrest.conf"),
    "sshd": _sshd,
}
"""The component's command for a key. sshd.Protocol is no option of today's sshd."""

NO_SETTING = frozenset(
    {"postgresql.packages", "postgresql.role", "postgresql.database", "sshd.Protocol"}
)


def _command(expectation: Expectation) -> str | None:
    component, key = expectation.control.component, expectation.key
    if component == "layout":
        name = expectation.id.removeprefix("layout.")
        return f"stat -c '%F %a %U:%G' {ROOT}{name}"
    if component == "cron.pgbackrest":
        return f"grep -rhF -- '--type={key}' /etc/cron.d"
    make = COMMANDS.get(component)
    return None if make is None or expectation.id in NO_SETTING | LEFT_OUT else make(key)


def checks(expectations: Mapping[str, Expectation]) -> list[Check]:
    """Every applicable control that one such command can show, components interleaved."""
    found: dict[str, list[Check]] = {}
    for expectation in expectations.values():
        command = _command(expectation)
        if expectation.applicable and command is not None:
            found.setdefault(expectation.control.component, []).append(Check(expectation, command))
    longest = max(len(each) for each in found.values())
    return [each[index] for index in range(longest) for each in found.values() if index < len(each)]
