"""Files and links: a reader sees the old one or the new one, also after a power cut."""

import contextlib
import grp
import os
import pwd

from provisioning.host_side.commands import Json, Refused


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


def ids(resource: Json) -> tuple[int, int]:
    """Numbers of the owner and the group, which must exist by now."""
    try:
        return pwd.getpwnam(resource["owner"]).pw_uid, grp.getgrnam(resource["group"]).gr_gid
    except KeyError as problem:
        raise Refused("look up the owner of " + resource["path"], str(problem)) from problem


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
