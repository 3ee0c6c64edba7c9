"""Looking: the state of every resource, which changes nothing."""

import grp
import hashlib
import os
import pwd
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor

from provisioning.host_side.commands import CHECK_SECONDS, Json, last_words, run, shell
from provisioning.host_side.files import group_name, owner_name
from provisioning.host_side.memory import notes

TEXT_BYTES = 65536
"""Files up to this size travel as text for the diff."""


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
