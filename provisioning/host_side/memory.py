"""What outlives a killed apply: notes of what is about to change, and the files of before."""

import json
import os
import shutil
import stat

from provisioning.host_side import home
from provisioning.host_side.commands import Json, Refused
from provisioning.host_side.files import link, sync_directory, write


def notes() -> Json:
    """The pending notes by component."""
    found = {}
    for name in sorted(os.listdir(home.PENDING)) if os.path.isdir(home.PENDING) else ():
        if not name.startswith("."):
            found[name] = read_note(name)
    return found


def read_note(name: str) -> Json:
    """One note; a torn one still says that something was under way."""
    try:
        with open(os.path.join(home.PENDING, name), encoding="utf-8") as handle:
            note: Json = json.load(handle)
            return note
    except ValueError:
        return {"paths": [], "action": "restart"}


def begin(request: Json) -> None:
    """Write the note; what an unfinished apply noted and kept stays valid."""
    name, paths, action = request["name"], request["paths"], request["action"]
    if not paths and not action:
        return
    note_path = os.path.join(home.PENDING, name)
    if os.path.exists(note_path):
        paths = sorted(set(paths) | set(read_note(name)["paths"]))
    else:
        shutil.rmtree(os.path.join(home.KEPT, name), ignore_errors=True)
    content = json.dumps({"paths": paths, "action": action}).encode()
    write(note_path, content, 0o600, 0, 0)


def finish(request: Json) -> None:
    """The service runs with what is on disk: drop the note."""
    path = os.path.join(home.PENDING, request["name"])
    if os.path.exists(path):
        os.unlink(path)
        sync_directory(home.PENDING)


def keep(component: str, path: str) -> None:
    """Copy what is at `path` aside, once an apply: the first copy is what the service ran with."""
    folder = os.path.join(home.KEPT, component)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    index_path = os.path.join(folder, "index.json")
    index = read_index(component)
    if path in index:
        return
    entry: Json = {"type": "absent"}
    if os.path.islink(path):
        entry = {"type": "symlink", "target": os.readlink(path)}
    elif os.path.isfile(path):
        found = os.stat(path)
        copy = str(len(index))
        with open(path, "rb") as handle:
            write(os.path.join(folder, copy), handle.read(), 0o600, 0, 0)
        mode = stat.S_IMODE(found.st_mode)
        entry = {"type": "file", "copy": copy, "mode": mode, "ids": [found.st_uid, found.st_gid]}
    elif os.path.lexists(path):
        raise Refused("keep " + path, "something that is neither a file nor a link is in the way")
    index[path] = entry
    write(index_path, json.dumps(index).encode(), 0o600, 0, 0)


def read_index(component: str) -> Json:
    """What was kept for a component, by path."""
    path = os.path.join(home.KEPT, component, "index.json")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as handle:
        index: Json = json.load(handle)
        return index


def restore(name: str) -> Json:
    """Put every kept file back; returns what was kept, by path."""
    index = read_index(name)
    for path, entry in index.items():
        if entry["type"] == "symlink":
            link(path, entry["target"])
        elif entry["type"] == "file":
            with open(os.path.join(home.KEPT, name, entry["copy"]), "rb") as handle:
                write(path, handle.read(), entry["mode"], *entry["ids"])
        elif os.path.lexists(path):
            os.unlink(path)
    return index
