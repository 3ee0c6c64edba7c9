"""The Docker engine that the lab runs on: one that answers, else one that we start."""

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import docker
import requests

from connect_infra.errors import LabError

START_LIMIT = 60
"""Seconds that a fresh engine may take until it answers."""

SYSTEM_PATH = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
"""Where root's programs are, also for somebody whose PATH lacks them."""

Progress = Callable[[str], None]


class CgroupOptions(TypedDict):
    """What the engine is told about a host's cgroups, and what boots the host."""

    namespace: str
    binds: list[str]
    command: list[str]


def connect() -> docker.DockerClient:
    """Return a client of the engine; LabError when none answers or it does not let us in."""
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except (docker.errors.DockerException, OSError) as problem:
        refused = "Permission denied" in str(problem)
        raise LabError(
            expected="a Docker engine that answers",
            found="permission denied" if refused else "none that answers",
            where=_address(),
            remedy="run as root or join the group docker"
            if refused
            else "start Docker, or run as root: connect-infra lab engine",
        ) from None
    return client


def ensure(state: Path, progress: Progress) -> docker.DockerClient:
    """Return a client of the engine that answers; start `dockerd` when there is none.

    LabError when it can't be started, or when it isn't for us to start one: somewhere else
    ($DOCKER_HOST), or not as root.
    """
    try:
        return connect()
    except LabError:
        if "DOCKER_HOST" in os.environ or os.geteuid() != 0:
            raise
    with (state / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return connect()  # somebody else may have started it in the meantime
        except LabError:
            progress("starting the Docker engine")
        return _start(state / "dockerd.log")


def _start(log_path: Path) -> docker.DockerClient:
    binary = shutil.which("dockerd", path=SYSTEM_PATH)
    if binary is None:
        raise LabError(
            expected="dockerd",
            found="no such program",
            where="lab engine",
            remedy="apt-get install docker.io (or: make setup)",
        )
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [binary], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
            env={**os.environ, "PATH": SYSTEM_PATH}, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return connect()
        except LabError:
            time.sleep(0.2)
    said = log_path.read_text(errors="replace").strip().splitlines()
    raise LabError(
        expected=f"an engine that answers within {START_LIMIT} s",
        found=said[-1] if said and process.poll() is not None else "no answer",
        where="lab engine",
        remedy=f"read {log_path}",
    )


@contextmanager
def reported(where: str) -> Iterator[None]:
    """Turn what the engine refuses, or doesn't answer in time, into a LabError of one line."""
    try:
        yield
    except (docker.errors.DockerException, requests.exceptions.RequestException) as problem:
        said = getattr(problem, "explanation", None) or str(problem)
        raise LabError(
            expected="the Docker engine to do as asked",
            found=str(said),
            where=where,
            remedy="run it again; if it stays, run: connect-infra lab down",
        ) from problem


def cgroup_options(client: docker.DockerClient) -> CgroupOptions:
    """How a systemd host gets its cgroups on this engine.

    On cgroup v1 systemd needs the machine's own tree (with a private namespace it refuses
    PostgreSQL's PID file). On v2 a private namespace is the right choice; the engine mounts it
    read-only for all but privileged containers, so the host makes it writable before systemd.
    """
    if str(client.info().get("CgroupVersion", "1")) == "2":
        writable = "mount -o remount,bind,rw /sys/fs/cgroup && exec /sbin/init"
        return CgroupOptions(namespace="private", binds=[], command=["/bin/sh", "-c", writable])
    tree = "/sys/fs/cgroup:/sys/fs/cgroup:rw"
    return CgroupOptions(namespace="host", binds=[tree], command=["/sbin/init"])


def _address() -> str:
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
