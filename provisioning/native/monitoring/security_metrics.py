#!/usr/bin/python3
"""Failed logins and rate limit hits as fail2ban counts them, for node-exporter's text files."""

import os
import sys
from typing import Any

from fail2ban.client.csocket import CSocket

HELP = {
    "failed_total": ("counter", "Failures that a jail has seen since fail2ban started."),
    "banned_total": ("counter", "Bans that a jail has made since fail2ban started."),
    "banned": ("gauge", "Addresses that are banned now."),
}
FIELDS = {
    "failed_total": ("Filter", "Total failed"),
    "banned_total": ("Actions", "Total banned"),
    "banned": ("Actions", "Currently banned"),
}


def ask(server: CSocket, *words: str) -> Any:
    """One answer of the server; it ends the program when it is an error."""
    code, answer = server.send(list(words))
    if code:
        raise SystemExit(str(answer))
    return answer


def main(path: str) -> None:
    """Write the file beside its place, then rename it: it is never read half-written."""
    server = CSocket("/var/run/fail2ban/fail2ban.sock")
    names = dict(ask(server, "status"))["Jail list"].split(", ")
    jails = {name: {key: dict(rows) for key, rows in ask(server, "status", name)} for name in names}
    with open(path + ".new", "w", encoding="ascii") as file:
        for metric, (kind, text) in HELP.items():
            section, field = FIELDS[metric]
            file.write(f"# HELP fail2ban_{metric} {text}\n# TYPE fail2ban_{metric} {kind}\n")
            for name, status in jails.items():
                file.write(f'fail2ban_{metric}{{jail="{name}"}} {status[section][field]}\n')
    os.rename(path + ".new", path)


main(sys.argv[1])
