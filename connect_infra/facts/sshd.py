"""What sshd does for a login, and whether the running daemon has read its files.

`sshd -T` reads the disk again, and a Match block can answer one user or address differently from
another, so it is asked for several logins, with the options that the daemon was started with: they
win over the file. Beside it stand the daemon's greeting, its process and the change times of the
files: a daemon that loaded after the last change runs what they say.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from connect_infra.facts.base import Output, junk

NAME = "sshd"

LOGINS = (
    ("connect", "127.0.0.1"),
    ("connect", "192.0.2.1"),
    ("root", "192.0.2.1"),
    ("nobody", "2001:db8::1"),
)
"""User and address of the logins that sshd is asked about; the latter are for documentation."""

_GREETING = """
import socket
with socket.create_connection(("127.0.0.1", 22), 5) as server:
    print(server.makefile("rb").readline(255).decode("ascii", "replace").strip())
"""

# The daemon's title: `sshd: /usr/sbin/sshd -D -o Name=value [listener] 0 of 10-100 startups`.
_STARTED = (
    "options=$(tr '\\0' ' ' < /proc/$(cat /run/sshd.pid)/cmdline | "
    "sed -n 's/^sshd: [^ ]*\\(.*\\) \\[listener\\].*/\\1/p' | sed 's/ -D\\b//') && "
)

COMMANDS: Mapping[str, str] = {
    "effective": _STARTED
    + " && ".join(
        f"echo '@@ {user} {address}' && sshd -T $options "
        f"-C user={user},host={address},addr={address},laddr={address},lport=22"
        for user, address in LOGINS
    ),
    "greeting": f"python3 -c '{_GREETING}'",
    # The daemon writes its PID file anew at every start and at every reload.
    "loaded": "stat -c '%.Y %n' /run/sshd.pid && cat /run/sshd.pid",
    "files": "find /etc/ssh -name 'sshd_config*' -type f -printf '%C@ %p\\n' "
    "-o -path '/etc/ssh/sshd_config.d*' -printf '%C@ %p\\n'",
}

_GREETED = re.compile(r"SSH-(\d\.\d+)-(\S+).*")
_TIMED = re.compile(r"(\d{1,12}\.\d{1,12}) (/\S.*)")

_junk = junk("sshd", "see `systemctl status ssh` and `sshd -t` on the host", 80)


@dataclass(frozen=True)
class SshdFacts:
    """sshd as it would treat each login, and the daemon that runs.

    `logins`: settings by (user, address), names in lower case as `sshd -T` prints them; a setting
    that is given several times keeps all its values, separated by blanks. Times are in seconds of
    the epoch.
    """

    logins: Mapping[tuple[str, str], Mapping[str, str]]
    protocol: str
    software: str
    pid: int
    loaded: float
    changed: Mapping[str, float]

    def values(self, name: str) -> Mapping[str, str]:
        """Return what a setting is for each login: {value: the logins that have it}."""
        found: dict[str, str] = {}
        for (user, address), settings in self.logins.items():
            value = settings.get(name.lower(), "")
            found[value] = f"{found.get(value, '')} {user}@{address}".strip()
        return found

    @property
    def changed_since_loaded(self) -> tuple[str, ...]:
        """Return the files that changed after the daemon last read them."""
        return tuple(path for path, time in self.changed.items() if time > self.loaded)


def parse(outputs: Mapping[str, Output]) -> SshdFacts:
    """Read sshd's answers; raises ObservationError on anything that is not theirs."""
    greeting = _GREETED.fullmatch(outputs["greeting"].text("sshd's greeting on port 22").strip())
    if greeting is None:
        raise _junk("SSH-<version>-<software>", outputs["greeting"].stdout)
    loaded, pid = _loaded(outputs["loaded"].text("/run/sshd.pid"))
    return SshdFacts(
        logins=_logins(outputs["effective"].text("sshd -T")),
        protocol=greeting[1],
        software=greeting[2],
        pid=pid,
        loaded=loaded,
        changed={path: time for time, path in _times(outputs["files"].text("/etc/ssh"))},
    )


def _logins(text: str) -> Mapping[tuple[str, str], Mapping[str, str]]:
    found: dict[tuple[str, str], dict[str, str]] = {}
    for part in text.split("@@ ")[1:]:
        head, *lines = part.splitlines()
        user, _, address = head.partition(" ")
        settings: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(" ")
            settings[name] = f"{settings[name]} {value}" if name in settings else value
        found[user, address] = settings
    if set(found) != set(LOGINS) or any("port" not in settings for settings in found.values()):
        raise _junk(f"the settings of {len(LOGINS)} logins", text)
    return found


def _loaded(text: str) -> tuple[float, int]:
    first, _, pid = text.strip().partition("\n")
    if not (pid.isascii() and pid.isdigit() and len(pid) < 12):
        raise _junk("a process id in /run/sshd.pid", pid)
    ((time, _),) = _times(first)
    return time, int(pid)


def _times(text: str) -> list[tuple[float, str]]:
    matches = [_TIMED.fullmatch(line) for line in text.splitlines()]
    if None in matches:
        raise _junk("a time and a path", text)
    return [(float(match[1]), match[2]) for match in matches if match]
