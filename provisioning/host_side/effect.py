"""Units as wanted, and a service with its new files; what it says when it does not work."""

import os
import re
import time

from provisioning.host_side.commands import (
    CHANGE_SECONDS,
    CHECK_SECONDS,
    Json,
    Refused,
    must,
    must_shell,
    run,
    shell,
)
from provisioning.host_side.looks import look_units


def take_effect(request: Json, todo: list[Json]) -> None:
    """Units as wanted, the service activated, and proof that it works."""
    activation, action = request["activation"], request["action"]
    if any("/systemd/system/" in path for path in request["paths"]) or needs_reload(todo):
        must("read the units again", ["systemctl", "daemon-reload"])
    own = activation["unit"] if action else None
    mark = log_mark(activation)
    try:
        for resource in todo:
            if resource["kind"] == "unit" and not resource["masked"]:
                set_unit(resource, start=resource["name"] != own)
        if action:
            activate(activation, action)
        if (action or todo) and request["verify"]:
            must_shell("see the service work", request["verify"], {})
    except Refused as refusal:
        said = what_it_said(activation, mark)
        raise Refused(refusal.step, "\n".join([refusal.message, *said])) from refusal


def needs_reload(todo: list[Json]) -> bool:
    """Whether a unit in question has changed on disk without systemd knowing."""
    units = {resource["name"]: resource for resource in todo if resource["kind"] == "unit"}
    return any(state["stale"] == "yes" for state in look_units(units).values())


def set_unit(resource: Json, start: bool) -> None:
    """Enable or disable a unit, and start or stop it."""
    name = resource["name"]
    state = look_units({name: resource})[name]
    if state["load"] == "masked":
        must("unmask " + name, ["systemctl", "unmask", name])
    verb = "enable" if resource["enabled"] else "disable"
    if state["start"] not in ("static", "enabled-runtime"):
        must(verb + " " + name, ["systemctl", verb, name])
    if start:
        verb = "start" if resource["running"] else "stop"
        must(verb + " " + name, ["systemctl", verb, name])


def activate(activation: Json, action: str) -> None:
    """Reload where that is enough and the service runs, else restart."""
    unit = activation["unit"]
    active = look_units({unit: {"name": unit}})[unit]["active"] == "active"
    if action == "reload" and active:
        must("reload " + unit, ["systemctl", "reload", unit])
        enough = activation["reload_enough"]
        if not enough or shell(enough, {}, CHECK_SECONDS).returncode == 0:
            return
    run(["systemctl", "reset-failed", unit])
    must("restart " + unit, ["systemctl", "restart", unit])


TELLING = re.compile(r"fatal|error|hint|fail|can't|cannot|could not|invalid|denied|no such", re.I)
"""Lines that say why, in the words of every service here; the rest of a log is chatter."""

TELLING_LINES = 4


def log_mark(activation: Json | None) -> Json:
    """Where the service's log ends and what time it is, before it is activated."""
    log = activation["log"] if activation else None
    size = os.path.getsize(log) if log and os.path.isfile(log) else 0
    return {"size": size, "time": time.time()}


def what_it_said(activation: Json | None, mark: Json) -> list[str]:
    """The telling lines that the service has logged since the mark, in its log or the journal."""
    if not activation:
        return []
    log, lines = activation["log"], []
    if log and os.path.isfile(log):
        with open(log, "rb") as handle:
            handle.seek(mark["size"])
            lines = telling(handle.read().decode("utf-8", "replace"))
    if lines:
        return lines
    since = ["--since", f"@{mark['time']:.6f}", "-u", activation["unit"]]
    return telling(run(["journalctl", "--no-pager", "-q", "-o", "cat", *since]).stdout)


def telling(text: str) -> list[str]:
    """The last few lines that say why, each once."""
    lines = dict.fromkeys(line.strip() for line in text.splitlines() if TELLING.search(line))
    return list(lines)[-TELLING_LINES:]


def run_again(unit: str, verify: str | None) -> bool:
    """Restart a service with its old files, or stop one that had none."""
    run(["systemctl", "daemon-reload"])
    run(["systemctl", "reset-failed", unit])
    if look_units({unit: {"name": unit}})[unit]["load"] != "loaded":
        run(["systemctl", "stop", unit])
        return True
    answer = run(["systemctl", "restart", unit])
    if answer.returncode == 0 and verify:
        answer = shell(verify, {}, CHANGE_SECONDS)
    return answer.returncode == 0
