"""What has no file to stage: packages, users, directories, kernel settings, commanded states."""

import os

from provisioning.host_side.commands import Json, Refused, must, must_shell
from provisioning.host_side.files import ids
from provisioning.host_side.looks import look_ensure, look_user


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


def all_ensured(resources: list[Json]) -> None:
    """Bring every commanded state about, in order."""
    for resource in resources:
        ensure(resource)


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


def ensure(resource: Json) -> None:
    """Bring a commanded state about, unless an earlier step already has; then look again."""
    if look_ensure(resource)["holds"]:
        return
    must_shell(resource["name"], resource["do"], resource["secrets"])
    after = look_ensure(resource)
    if not after["holds"]:
        raise Refused(resource["name"], "done, but the check still says: " + after["said"])
