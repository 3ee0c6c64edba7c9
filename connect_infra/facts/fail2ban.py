"""fail2ban's jails as the running server has them, and its defaults as its own reader reads them.

The server is asked over its socket through its own client library, all jails in one process. A jail
that an error has left out is not in its answer, whatever the file says.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connect_infra.errors import ObservationError
from connect_infra.facts.base import Output

NAME = "fail2ban"

_ASK = """
import json
from fail2ban.client.csocket import CSocket
from fail2ban.client.jailreader import JailReader
from fail2ban.client.jailsreader import JailsReader
from fail2ban.server.failregex import Regex

server = CSocket("/var/run/fail2ban/fail2ban.sock")

def ask(*words):
    code, answer = server.send(list(words))
    if code:
        raise SystemExit("%s: %s" % (" ".join(words), answer))
    return answer

def action(jail, name):
    known = ask("get", jail, "actionproperties", name)
    wanted = [key for key in ("name", "port", "protocol", "chain") if key in known]
    return {key: str(ask("get", jail, "action", name, key)) for key in wanted}

def configured(name):
    reader = JailReader(name, basedir="/etc/fail2ban")
    reader.read()
    reader.getOptions()
    return {key: str(value) for key, value in reader.options.items()}, wanted(reader)

def wanted(reader):
    # What the files would tell the server now.
    told = {"failregex": [], "actions": {}, "logpath": []}
    # A filter or log file that is missing is an answer too: it is not in what the server is told.
    for command in reader.convert(allow_no_files=True):
        if command[0] not in ("set", "multi-set"):
            continue
        key, values = command[2], command[3:]
        if key == "addfailregex":
            regexes = values if command[0] == "set" else values[0]
            told["failregex"] += [Regex(regex).getRegex() for regex in regexes]
        elif key == "addlogpath":
            told["logpath"] += values[:1]
        elif key == "action":
            known = dict(pair for pair in values[1] if len(pair) == 2)
            told["actions"][values[0]] = {
                each: str(known[each]) for each in ("name", "port", "protocol") if each in known}
    return told

def look(name):
    look = {key: ask("get", name, key) for key in
            ("bantime", "findtime", "maxretry", "logpath", "failregex", "ignoreip")}
    status = {key: dict(rows) for key, rows in ask("status", name)}
    look["journal"] = status["Filter"].get("Journal matches")
    look["banned"] = [str(ip) for ip in status["Actions"]["Banned IP list"]]
    look["actions"] = {each: action(name, each) for each in ask("get", name, "actions")}
    look["configured"], look["wanted"] = configured(name)
    return look

everything = JailsReader(basedir="/etc/fail2ban")
everything.read()
names = [name.strip() for name in dict(ask("status"))["Jail list"].split(",") if name.strip()]
print(json.dumps({
    "version": ask("version"),
    "defaults": {key: str(everything.get("DEFAULT", key))
                 for key in ("bantime", "findtime", "maxretry", "backend")},
    "jails": {name: look(name) for name in names},
}))
"""

COMMANDS: Mapping[str, str] = {"server": f"python3 -c {shlex.quote(_ASK)}"}


@dataclass(frozen=True)
class Jail:
    """One running jail. Times are in seconds; `journal` is None where it reads log files.

    `actions`: by name, each with the ports and the chain's name that it bans with. `configured`:
    the jail's options as fail2ban reads them from its files now; `wanted`: what it would make of
    these files if it read them again.
    """

    bantime: int
    findtime: int
    maxretry: int
    logpath: tuple[str, ...]
    failregex: tuple[str, ...]
    ignoreip: tuple[str, ...]
    journal: tuple[str, ...] | None
    banned: tuple[str, ...]
    actions: Mapping[str, Mapping[str, str]]
    configured: Mapping[str, str]
    wanted: "WantedJail"

    @property
    def reads(self) -> str:
        """What the jail reads: `systemd` for the journal, else `files`."""
        return "files" if self.journal is None else "systemd"

    @property
    def ports(self) -> frozenset[str]:
        """The ports that its actions close for a banned address."""
        return frozenset(action.get("port", "") for action in self.actions.values())


@dataclass(frozen=True)
class WantedJail:
    """What the files would make of a jail: regular expressions in full, log files, actions."""

    failregex: tuple[str, ...]
    logpath: tuple[str, ...]
    actions: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Fail2banFacts:
    """The running server: its jails by name, and the defaults that its files set now."""

    version: str
    defaults: Mapping[str, str]
    jails: Mapping[str, Jail]

    def jail(self, name: str) -> Jail:
        """Return a running jail; ObservationError when fail2ban runs without it."""
        if name not in self.jails:
            raise ObservationError(
                expected=f"a running jail {name}",
                found=", ".join(self.jails) or "no jail at all",
                where=NAME,
                remedy="see /var/log/fail2ban.log and `fail2ban-client -t` on the host",
            )
        return self.jails[name]


def parse(outputs: Mapping[str, Output]) -> Fail2banFacts:
    """Read the server's answer; raises ObservationError on anything that is not its own."""
    text = outputs["server"].text("fail2ban's server")
    try:
        answer = json.loads(text)
        return Fail2banFacts(
            version=str(answer["version"]),
            defaults=dict(answer["defaults"]),
            jails={name: _jail(jail) for name, jail in answer["jails"].items()},
        )
    except (ArithmeticError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise ObservationError(
            expected="the jails as JSON",
            found=repr(text[:80]),
            where=NAME,
            remedy="see whether fail2ban runs on the host",
        ) from problem


def _jail(jail: Mapping[str, Any]) -> Jail:
    return Jail(
        bantime=int(jail["bantime"]),
        findtime=int(jail["findtime"]),
        maxretry=int(jail["maxretry"]),
        logpath=tuple(jail["logpath"]),
        failregex=tuple(jail["failregex"]),
        ignoreip=tuple(jail["ignoreip"]),
        journal=None if jail["journal"] is None else tuple(jail["journal"]),
        banned=tuple(jail["banned"]),
        actions=dict(jail["actions"]),
        configured=dict(jail["configured"]),
        wanted=WantedJail(
            failregex=tuple(jail["wanted"]["failregex"]),
            logpath=tuple(jail["wanted"]["logpath"]),
            actions=dict(jail["wanted"]["actions"]),
        ),
    )
