"""A way in: proven by a fresh login, or taken back by this host itself."""

import fcntl
import json
import os
import shutil

from provisioning.host_side import home
from provisioning.host_side.commands import Json, Refused, must, must_shell, run
from provisioning.host_side.files import write
from provisioning.host_side.memory import finish, restore


def arm(request: Json) -> None:
    """Keep what the way in was, and let this host put it back unless somebody proves the new one.

    The timer is the host's own: it fires also when the controller has gone.
    """
    name, way_in = request["name"], request["way_in"]
    folder = os.path.join(home.KEPT, name)
    if not os.path.exists(os.path.join(home.PENDING, name)):
        shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    disarm(name)
    if not os.path.exists(os.path.join(folder, "way-in.json")):
        must_shell("keep the way in", way_in["keep"], {"KEPT": folder})
    program = os.path.join(folder, "way-back.py")
    write(program, f"{way_in['source']}\n\nway_back({name!r})\n".encode(), 0o600, 0, 0)
    note = json.dumps({"back": way_in["back"]}).encode()
    write(os.path.join(folder, "way-in.json"), note, 0o600, 0, 0)
    after = f"--on-active={way_in['seconds']}"
    unit = ["systemd-run", "--quiet", "--collect", f"--unit={timer(name)}", after]
    must("arm the way back", [*unit, "--timer-property=AccuracySec=1s", "python3", program])


def timer(name: str) -> str:
    """The name of the timer, and of what it starts."""
    return f"connect-infra-way-back-{name}"


def disarm(name: str) -> None:
    """Stop the timer; one that is not there is stopped already."""
    run(["systemctl", "stop", f"{timer(name)}.timer"])


def proven(name: str) -> Json:
    """Somebody has come in by the new way: it stays."""
    disarm(name)
    path = os.path.join(home.KEPT, name, "way-in.json")
    if not os.path.exists(path):
        raise Refused("prove the way in", "the host has put the old one back already")
    finish({"name": name})
    os.unlink(path)
    return {"done": True}


def take_back(name: str) -> bool:
    """Put the way in of before back into force; False when there is none to go back to."""
    folder = os.path.join(home.KEPT, name)
    path = os.path.join(folder, "way-in.json")
    disarm(name)
    if not os.path.exists(path):
        return False
    with open(path, encoding="utf-8") as handle:
        back = json.load(handle)["back"]
    restore(name)
    must_shell("put the way in back", back, {"KEPT": folder})
    finish({"name": name})
    os.unlink(path)
    return True


def way_back(name: str) -> None:
    """What the timer runs: nobody has proven the new way in."""
    with open(home.LOCK, "a+", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if take_back(name):
            print(f"{name}: nobody came in by the new way in time; the old one is back")
