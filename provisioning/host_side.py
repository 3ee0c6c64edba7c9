"""Runs on the host, as root, under the host's own Python (3.10 or newer, standard library only).

Sent as source over the connection. `main` either looks (changes nothing) or changes one component
in an order that can be killed at any point: note what is about to change, stage, validate, keep the
old, rename the new into place, activate, verify, and only then drop the note.
"""

import base64
import contextlib
import errno
import fcntl
import grp
import hashlib
import json
import os
import pwd
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

Json = dict[str, Any]
Answer = subprocess.CompletedProcess[str]

HOME = "/var/lib/connect-infra"
PENDING = HOME + "/pending"
KEPT = HOME + "/kept"
STAGED = HOME + "/staged"
LOCK = HOME + "/lock"

CHECK_SECONDS = 20
"""Longest that a look at one state may take."""

CHANGE_SECONDS = 600
"""Longest that one command which changes something may take (a package run is the slowest)."""

LEASE_SECONDS = 60
"""How long an apply holds the host after its last sign of life."""

TEXT_BYTES = 65536
"""Files up to this size travel as text for the diff."""


class Refused(Exception):
    """A step that did not work: what it was, and the host's own words."""

    def __init__(self, step: str, message: str) -> None:
        """Keep both; `state` says what the host is left with, once that is known."""
        super().__init__(step, message)
        self.step = step
        self.message = message
        self.state = ""


def main(request: Json) -> Json:
    """Look or change, as asked; failures come back as data, never as a traceback."""
    os.umask(0o022)
    if request["do"] == "observe":
        return observe(request)
    if request["do"] == "release":
        return release(request["lease"])
    try:
        with held(request["lease"]) as busy:
            if busy:
                return {"busy": busy}
            if request["do"] == "begin":
                return observe(request)
            if request["do"] == "packages":
                return install(request)
            if request["do"] == "proven":
                return proven(request["name"])
            if request["do"] == "take back":
                return {"back": take_back(request["name"])}
            return change(request)
    except OSError as problem:
        return failed(Refused("write on the host", in_words(problem)))
    except Refused as refusal:
        return failed(refusal)


def failed(refusal: Refused) -> Json:
    """A failure as the controller reads it."""
    words = {"step": refusal.step, "message": refusal.message, "state": refusal.state}
    return {"failed": words}


def in_words(problem: OSError) -> str:
    """An OSError as a person reads it; a full disk says which one and how full."""
    where = problem.filename or HOME
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        place = where if os.path.isdir(where) else os.path.dirname(where) or "/"
        while not os.path.isdir(place):
            place = os.path.dirname(place)
        free = shutil.disk_usage(place).free
        return f"no space left for {where} ({free // 1024} kB free there); free some space"
    return f"{where}: {os.strerror(problem.errno) if problem.errno else problem}"


# --- looking -----------------------------------------------------------------------------------


def observe(request: Json) -> Json:
    """The state of every resource by id, and the notes that an unfinished apply left."""
    resources = request["resources"]
    by_kind: dict[str, Json] = {}
    for name, resource in resources.items():
        by_kind.setdefault(resource["kind"], {})[name] = resource
    states: Json = {}
    with ThreadPoolExecutor(4) as pool:
        checks = {
            name: pool.submit(look_ensure, resource)
            for name, resource in by_kind.pop("ensure", {}).items()
        }
        batches = [
            pool.submit(look, by_kind.pop(kind, {}))
            for kind, look in (("package", look_packages), ("unit", look_units))
        ]
        for kind, members in by_kind.items():
            for name, resource in members.items():
                states[name] = LOOKS[kind](resource)
        for batch in batches:
            states.update(batch.result())
        states.update({name: check.result() for name, check in checks.items()})
    return {"states": states, "pending": notes()}


def notes() -> Json:
    """The pending notes by component."""
    found = {}
    for name in sorted(os.listdir(PENDING)) if os.path.isdir(PENDING) else ():
        if not name.startswith("."):
            found[name] = read_note(name)
    return found


def read_note(name: str) -> Json:
    """One note; a torn one still says that something was under way."""
    try:
        with open(os.path.join(PENDING, name), encoding="utf-8") as handle:
            note: Json = json.load(handle)
            return note
    except ValueError:
        return {"paths": [], "action": "restart"}


def look_packages(resources: Json) -> Json:
    """Installed means unpacked and configured; a name may also be provided by another package."""
    if not resources:
        return {}
    form = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Provides}\n"
    answer = run(["dpkg-query", "-W", "-f", form], timeout=CHECK_SECONDS)
    versions = {}
    for line in answer.stdout.splitlines():
        status, package, version, provides = line.split("\t")
        if status.strip() in ("ii", "hi"):
            versions[package] = version
            for provided in provides.split(","):
                versions.setdefault(provided.split("(")[0].strip(), version)
    return {
        name: {"version": versions.get(resource["name"])} for name, resource in resources.items()
    }


def look_units(resources: Json) -> Json:
    """Load, run and start-up state of every unit, in one call."""
    if not resources:
        return {}
    names = [resource["name"] for resource in resources.values()]
    wanted = "Id,Names,LoadState,ActiveState,UnitFileState,NeedDaemonReload"
    answer = run(["systemctl", "show", "--property", wanted, "--", *names], timeout=CHECK_SECONDS)
    states = {}
    for name, block in zip(resources, answer.stdout.strip().split("\n\n"), strict=True):
        shown = dict(line.split("=", 1) for line in block.splitlines())
        states[name] = {
            "load": shown["LoadState"],
            "active": shown["ActiveState"],
            "start": shown["UnitFileState"],
            "stale": shown["NeedDaemonReload"],
        }
    return states


def look_ensure(resource: Json) -> Json:
    """Whether its check holds; what the check said is kept for the plan's reader."""
    try:
        answer = shell(resource["check"], resource["secrets"], CHECK_SECONDS)
    except subprocess.TimeoutExpired:
        return {"holds": False, "said": f"no answer in {CHECK_SECONDS} s"}
    if answer.returncode == 0:
        return {"holds": True, "said": ""}
    return {"holds": False, "said": last_words(answer)}


def look_group(resource: Json) -> Json:
    """Whether the group is there."""
    try:
        grp.getgrnam(resource["name"])
    except KeyError:
        return {"exists": False}
    return {"exists": True}


def look_user(resource: Json) -> Json:
    """The user's entry, or that there is none."""
    try:
        entry = pwd.getpwnam(resource["name"])
    except KeyError:
        return {"exists": False}
    group = grp.getgrgid(entry.pw_gid).gr_name
    return {"exists": True, "group": group, "home": entry.pw_dir, "shell": entry.pw_shell}


def look_path(resource: Json) -> Json:
    """Kind, mode and owners of what is at the path itself; of a file the digest, maybe the text."""
    path = resource["path"]
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return {"type": "absent"}
    if stat.S_ISLNK(found.st_mode):
        return {"type": "symlink", "target": os.readlink(path)}
    state = {
        "type": "directory" if stat.S_ISDIR(found.st_mode) else "other",
        "mode": stat.S_IMODE(found.st_mode),
        "owner": owner_name(found.st_uid),
        "group": group_name(found.st_gid),
    }
    if stat.S_ISREG(found.st_mode):
        state["type"] = "file"
        with open(path, "rb") as handle:
            content = handle.read()
        state["sha256"] = hashlib.sha256(content).hexdigest()
        if not resource.get("secret", True) and len(content) <= TEXT_BYTES:
            state["text"] = content.decode("utf-8", "replace")
    return state


def owner_name(uid: int) -> str:
    """The name of a user id, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """The name of a group id, or the number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def look_sysctl(resource: Json) -> Json:
    """The kernel's value now, and whether this host may set it."""
    path = "/proc/sys/" + resource["key"].replace(".", "/")
    with open(path, encoding="ascii") as handle:
        value = handle.read().strip()
    return {"value": value, "writable": not os.statvfs(path).f_flag & os.ST_RDONLY}


LOOKS = {
    "group": look_group,
    "user": look_user,
    "directory": look_path,
    "file": look_path,
    "symlink": look_path,
    "sysctl": look_sysctl,
}


# --- one apply at a time -----------------------------------------------------------------------


@contextlib.contextmanager
def held(lease: Json) -> Iterator[Json | None]:
    """Hold the host for one trip; yields who holds it instead, or None.

    The file lock covers the trip, the lease in the file the time between an apply's trips.
    `lease["void"]` is the token of a lease whose controller is known to be dead.
    """
    make_home()
    with open(LOCK, "a+", encoding="utf-8") as handle:
        os.fchmod(handle.fileno(), 0o600)
        handle.seek(0)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield dict(read_lease(handle), running=True)
            return
        other = read_lease(handle)
        mine = (lease["token"], lease.get("void"))
        if other.get("expires", 0) > time.time() and other["token"] not in mine:
            yield dict(other, running=False)
            return
        renew(handle, lease)
        yield None
        renew(handle, lease)


def read_lease(handle: IO[str]) -> Json:
    """Who holds the host by the lock file; empty when nobody does."""
    try:
        lease: Json = json.loads(handle.read() or "{}")
        return lease
    except ValueError:
        return {}


def renew(handle: IO[str], lease: Json) -> None:
    """Write our lease into the lock file."""
    handle.seek(0)
    handle.truncate()
    json.dump(
        {
            "token": lease["token"],
            "holder": lease["holder"],
            "expires": time.time() + LEASE_SECONDS,
        },
        handle,
    )
    handle.flush()


def release(lease: Json) -> Json:
    """Give the host free, if it is ours."""
    with open(LOCK, "a+", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        if read_lease(handle).get("token") == lease["token"]:
            handle.truncate(0)
    return {}


def make_home() -> None:
    """Our own directories: the staged tree is passable for service users, the rest is root's."""
    for path, mode in ((HOME, 0o711), (PENDING, 0o700), (KEPT, 0o700), (STAGED, 0o711)):
        if not os.path.isdir(path):
            os.makedirs(path)
        os.chmod(path, mode)


# --- packages and masks: first, and for all components at once ---------------------------------


def install(request: Json) -> Json:
    """Mask what must not start by itself, then install every missing package in one run."""
    for unit in request["masks"]:
        must("mask " + unit, ["systemctl", "mask", "--now", unit])
    if request["packages"]:
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8")
        must("finish an interrupted dpkg", ["dpkg", "--configure", "-a"], environment)
        patient = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
        must("read the package lists", [*patient, "update"], environment)
        keep = ["-o", "Dpkg::Options::=--force-confold", "--no-install-recommends"]
        must(
            "install " + " ".join(request["packages"]),
            [*patient, *keep, "-y", "install", *request["packages"]],
            environment,
        )
    return {"done": True}


# --- changing one component --------------------------------------------------------------------


def change(request: Json) -> Json:
    """Bring one component to its desired state; what a way in needs stays to be proven."""
    begin(request)
    resources, changed = request["resources"], set(request["changed"])
    todo = [resource for name, resource in resources.items() if name in changed]
    ensures = [resource for resource in todo if resource["kind"] == "ensure"]
    for resource in todo:
        if resource["kind"] in MAKERS:
            MAKERS[resource["kind"]](resource)
    files = [resource for resource in todo if resource["kind"] in ("file", "symlink")]
    try:
        if request["paths"]:
            stage_and_validate(request)
        if request["way_in"]:
            arm(request)
        put_in_place(request, files)
        take_effect(request, todo)
        if request["way_in"]:
            all_ensured(ensures)
    except OSError as problem:
        raise undone(request, Refused("write on the host", in_words(problem))) from problem
    except Refused as refusal:
        raise undone(request, refusal) from refusal
    if not request["way_in"]:
        finish(request)
        all_ensured(ensures)
    return {"done": True}


def all_ensured(resources: list[Json]) -> None:
    """Bring every commanded state about, in order."""
    for resource in resources:
        ensure(resource)


def begin(request: Json) -> None:
    """Write the note; what an unfinished apply noted and kept stays valid."""
    name, paths, action = request["name"], request["paths"], request["action"]
    if not paths and not action:
        return
    note_path = os.path.join(PENDING, name)
    if os.path.exists(note_path):
        paths = sorted(set(paths) | set(read_note(name)["paths"]))
    else:
        shutil.rmtree(os.path.join(KEPT, name), ignore_errors=True)
    content = json.dumps({"paths": paths, "action": action}).encode()
    write(note_path, content, 0o600, 0, 0)


def finish(request: Json) -> None:
    """The service runs with what is on disk: drop the note."""
    path = os.path.join(PENDING, request["name"])
    if os.path.exists(path):
        os.unlink(path)
        sync_directory(PENDING)


def make_group(resource: Json) -> None:
    """Create a system group."""
    must("create the group", ["groupadd", "--system", resource["name"]])


def make_user(resource: Json) -> None:
    """Create a system user, or adjust the one that is there."""
    verb = ["usermod"] if look_user(resource)["exists"] else ["useradd", "--system", "-m"]
    options = ["-g", resource["group"], "-d", resource["home"], "-s", resource["shell"]]
    must("set the user " + resource["name"], [*verb, *options, resource["name"]])


def make_directory(resource: Json) -> None:
    """Create a directory, or correct its mode and owners."""
    path = resource["path"]
    if os.path.lexists(path) and not (os.path.isdir(path) and not os.path.islink(path)):
        raise Refused("make " + path, "something that is not a directory is in the way")
    os.makedirs(path, exist_ok=True)
    os.chown(path, *ids(resource))
    os.chmod(path, resource["mode"])


def set_sysctl(resource: Json) -> None:
    """Set a kernel setting now."""
    with open("/proc/sys/" + resource["key"].replace(".", "/"), "w", encoding="ascii") as handle:
        handle.write(resource["value"])


MAKERS = {
    "group": make_group,
    "user": make_user,
    "directory": make_directory,
    "sysctl": set_sysctl,
}


def ids(resource: Json) -> tuple[int, int]:
    """Numbers of the owner and the group, which must exist by now."""
    try:
        return pwd.getpwnam(resource["owner"]).pw_uid, grp.getgrnam(resource["group"]).gr_gid
    except KeyError as problem:
        raise Refused("look up the owner of " + resource["path"], str(problem)) from problem


def stage_and_validate(request: Json) -> None:
    """Lay out all the component's files under $STAGE and let the service's checker judge them."""
    stage = os.path.join(STAGED, request["name"])
    shutil.rmtree(stage, ignore_errors=True)
    try:
        for resource in request["resources"].values():
            if resource["kind"] == "file":
                path = stage + resource["path"]
                os.makedirs(os.path.dirname(path), exist_ok=True)
                content = base64.b64decode(resource["content"])
                write(path, content, resource["mode"], *ids(resource))
        if request["validate"]:
            must_shell("validate the new files", request["validate"], {"STAGE": stage})
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def put_in_place(request: Json, files: list[Json]) -> None:
    """Keep what is there, then rename the new ones over it."""
    for resource in files:
        keep(request["name"], resource["path"])
        if resource["kind"] == "symlink":
            link(resource["path"], resource["target"])
        else:
            content = base64.b64decode(resource["content"])
            write(resource["path"], content, resource["mode"], *ids(resource))


def keep(component: str, path: str) -> None:
    """Copy what is at `path` aside, once an apply: the first copy is what the service ran with."""
    home = os.path.join(KEPT, component)
    os.makedirs(home, mode=0o700, exist_ok=True)
    index_path = os.path.join(home, "index.json")
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
            write(os.path.join(home, copy), handle.read(), 0o600, 0, 0)
        mode = stat.S_IMODE(found.st_mode)
        entry = {"type": "file", "copy": copy, "mode": mode, "ids": [found.st_uid, found.st_gid]}
    elif os.path.lexists(path):
        raise Refused("keep " + path, "something that is neither a file nor a link is in the way")
    index[path] = entry
    write(index_path, json.dumps(index).encode(), 0o600, 0, 0)


def read_index(component: str) -> Json:
    """What was kept for a component, by path."""
    path = os.path.join(KEPT, component, "index.json")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as handle:
        index: Json = json.load(handle)
        return index


def write(path: str, content: bytes, mode: int, uid: int, gid: int) -> None:
    """Write beside, flush to disk, rename: a reader sees the old file or the new one."""
    folder, name = os.path.split(path)
    beside = os.path.join(folder, "." + name + ".connect-infra")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            os.fchown(handle.fileno(), uid, gid)
            os.fchmod(handle.fileno(), mode)
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        os.rename(beside, path)
    except OSError as problem:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        problem.filename = problem.filename or path
        raise
    sync_directory(folder)


def link(path: str, target: str) -> None:
    """Make or move a symbolic link by rename."""
    folder, name = os.path.split(path)
    beside = os.path.join(folder, "." + name + ".connect-infra")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    os.symlink(target, beside)
    os.rename(beside, path)
    sync_directory(folder)


def sync_directory(path: str) -> None:
    """Make a rename in this directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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


def undone(request: Json, refusal: Refused) -> Refused:
    """Put the old files back and let the service run with them; the refusal then says so."""
    taken_back = request["way_in"] and take_back(request["name"])
    if taken_back or put_back(request):
        refusal.state = "what was there before is in use again"
        finish(request)
    else:
        refusal.state = "the old files are back, but the service does not work with them either"
    return refusal


def put_back(request: Json) -> bool:
    """Restore every kept file; returns whether the service works with them."""
    index = restore(request["name"]) if request["paths"] else {}
    if not index or not request["activation"]:
        return True
    return run_again(request["activation"]["unit"], request["verify"])


def restore(name: str) -> Json:
    """Put every kept file back; returns what was kept, by path."""
    index = read_index(name)
    for path, entry in index.items():
        if entry["type"] == "symlink":
            link(path, entry["target"])
        elif entry["type"] == "file":
            with open(os.path.join(KEPT, name, entry["copy"]), "rb") as handle:
                write(path, handle.read(), entry["mode"], *entry["ids"])
        elif os.path.lexists(path):
            os.unlink(path)
    return index


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


def ensure(resource: Json) -> None:
    """Bring a commanded state about, unless an earlier step already has; then look again."""
    if look_ensure(resource)["holds"]:
        return
    must_shell(resource["name"], resource["do"], resource["secrets"])
    after = look_ensure(resource)
    if not after["holds"]:
        raise Refused(resource["name"], "done, but the check still says: " + after["said"])


# --- a way in: proven by a fresh login, or taken back by this host itself ----------------------


def arm(request: Json) -> None:
    """Keep what the way in was, and let this host put it back unless somebody proves the new one.

    The timer is the host's own: it fires also when the controller has gone.
    """
    name, way_in = request["name"], request["way_in"]
    home = os.path.join(KEPT, name)
    if not os.path.exists(os.path.join(PENDING, name)):
        shutil.rmtree(home, ignore_errors=True)
    os.makedirs(home, mode=0o700, exist_ok=True)
    disarm(name)
    if not os.path.exists(os.path.join(home, "way-in.json")):
        must_shell("keep the way in", way_in["keep"], {"KEPT": home})
    program = os.path.join(home, "way-back.py")
    write(program, f"{way_in['source']}\n\nway_back({name!r})\n".encode(), 0o600, 0, 0)
    note = json.dumps({"back": way_in["back"]}).encode()
    write(os.path.join(home, "way-in.json"), note, 0o600, 0, 0)
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
    path = os.path.join(KEPT, name, "way-in.json")
    if not os.path.exists(path):
        raise Refused("prove the way in", "the host has put the old one back already")
    finish({"name": name})
    os.unlink(path)
    return {"done": True}


def take_back(name: str) -> bool:
    """Put the way in of before back into force; False when there is none to go back to."""
    home = os.path.join(KEPT, name)
    path = os.path.join(home, "way-in.json")
    disarm(name)
    if not os.path.exists(path):
        return False
    with open(path, encoding="utf-8") as handle:
        back = json.load(handle)["back"]
    restore(name)
    must_shell("put the way in back", back, {"KEPT": home})
    finish({"name": name})
    os.unlink(path)
    return True


def way_back(name: str) -> None:
    """What the timer runs: nobody has proven the new way in."""
    with open(LOCK, "a+", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if take_back(name):
            print(f"{name}: nobody came in by the new way in time; the old one is back")


# --- running commands --------------------------------------------------------------------------


def run(
    command: list[str], environment: dict[str, str] | None = None, timeout: float = CHANGE_SECONDS
) -> Answer:
    """One command with a time limit, no terminal, text back."""
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        encoding="utf-8",
        errors="replace",
        check=False,
        cwd="/",
    )


def shell(script: str, variables: dict[str, str], timeout: float) -> Answer:
    """A sh script with extra variables in its environment; they show in no argument list."""
    return run(["/bin/sh", "-euc", script], dict(os.environ, **variables), timeout)


def must(step: str, command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command that has to work; Refused carries what it said."""
    try:
        answer = run(command, environment)
    except subprocess.TimeoutExpired:
        raise Refused(step, f"not done within {CHANGE_SECONDS} s") from None
    if answer.returncode != 0:
        raise Refused(step, last_words(answer))


def must_shell(step: str, script: str, variables: dict[str, str]) -> None:
    """Run a script that has to work; secrets are taken out of what it said."""
    try:
        answer = shell(script, variables, CHANGE_SECONDS)
    except subprocess.TimeoutExpired:
        raise Refused(step, f"not done within {CHANGE_SECONDS} s") from None
    if answer.returncode != 0:
        words = last_words(answer)
        for name, value in variables.items():
            if name != "STAGE":
                words = words.replace(value, f"«secret {name}»")
        raise Refused(step, words)


POINTER = re.compile("See .systemctl status")
"""systemctl's advice to look where the reader of our message is not."""

WORDS = 1200
"""How many characters of a failed command's output are passed on."""


def last_words(answer: Answer) -> str:
    """The end of what a command said, or its exit code if it said nothing."""
    lines = (answer.stderr + "\n" + answer.stdout).splitlines()
    words = "\n".join(line for line in lines if line.strip() and not POINTER.match(line))
    return words[-WORDS:] or f"exit code {answer.returncode}"
