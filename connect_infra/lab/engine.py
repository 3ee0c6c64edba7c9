"""The Docker engine that the lab runs on: one that answers, else one that we start."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import docker

from connect_infra.errors import LabError

START_LIMIT = 60
"""Seconds that a fresh engine may take until it answers."""

Progress = Callable[[str], None]


class CgroupOptions(TypedDict):
    """What the engine is told about a host's cgroups."""

    namespace: str
    binds: list[str]


def connect() -> docker.DockerClient:
    """Return a client of the engine; LabError when none answers or it does not let us in."""
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except (docker.errors.DockerException, OSError) as problem:
        raise LabError(
            expected="a Docker engine that answers",
            found=str(problem).splitlines()[0],
            where="lab engine",
            remedy="start Docker, join its group, or run: connect-infra lab engine",
        ) from None
    return client


def ensure(state: Path, progress: Progress) -> docker.DockerClient:
    """Return a client of the engine that answers; start `dockerd` when none does."""
    try:
        return connect()
    except LabError:
        progress("starting the Docker engine")
    binary = shutil.which("dockerd", path="/usr/sbin:/usr/bin:/usr/local/bin:/sbin")
    if binary is None:
        raise LabError(
            expected="dockerd",
            found="no such program",
            where="lab engine",
            remedy="apt-get install docker.io (or: make setup)",
        )
    log_path = state / "dockerd.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen([binary], stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return connect()
        except LabError:
            time.sleep(0.2)
    raise LabError(
        expected=f"an engine that answers within {START_LIMIT} s",
        found="it ended" if process.poll() is not None else "no answer",
        where="lab engine",
        remedy=f"read {log_path}",
    )


def cgroup_options(client: docker.DockerClient) -> CgroupOptions:
    """How a systemd host gets its cgroups on this engine.

    On cgroup v1 systemd needs the machine's own tree (with a private namespace it refuses
    PostgreSQL's PID file); on v2 a private namespace is the right choice.
    """
    if str(client.info().get("CgroupVersion", "1")) == "2":
        return CgroupOptions(namespace="private", binds=[])
    return CgroupOptions(namespace="host", binds=["/sys/fs/cgroup:/sys/fs/cgroup:rw"])
