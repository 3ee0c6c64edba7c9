"""`connect-infra doctor`: what this machine lacks for the lab; with a target, how that one is."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

import docker
import typer
from rich.console import Console
from rich.table import Table

from connect_infra.cli.common import InventoryFile
from connect_infra.cli.condition import show_diagnosis

LAB_DISK_BYTES = 8 * 1024**3
"""Room for the base image, a snapshot and a few hosts, with half of it to spare."""

LAB_MEMORY_BYTES = 6 * 1024**3
"""What a lab host uses at its scaled sizes, and the engine beside it."""


@dataclass(frozen=True)
class Finding:
    """One thing that the lab needs: whether it is here, what was seen, how to get it."""

    name: str
    ok: bool
    found: str
    remedy: str


def _tool(name: str, package: str) -> Finding:
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    remedy = f"apt-get install {package} (or: make setup)"
    return Finding(name, path is not None, path or "not found", remedy)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        "Python 3.11 or newer", sys.version_info >= (3, 11), version, "install python3.11"
    )


def _root() -> Finding:
    found = "root" if os.geteuid() == 0 else f"uid {os.geteuid()}"
    return Finding("root", os.geteuid() == 0, found, "run as root: the lab boots systemd hosts")


def _engine() -> Finding:
    remedy = "start Docker, join its group, or run: connect-infra lab engine"
    try:
        client = docker.from_env(timeout=5)
        version = client.version()["Version"]
    except (docker.errors.DockerException, OSError) as problem:
        found = str(problem).splitlines()[0]
        return Finding("Docker engine", False, found, remedy)
    client.close()
    return Finding("Docker engine", True, f"version {version}", remedy)


def _disk() -> Finding:
    free = shutil.disk_usage(".").free
    found = f"{free / 1024**3:.1f} GiB free"
    return Finding("8 GiB of disk", free >= LAB_DISK_BYTES, found, "make room, or set TMPDIR")


def _memory() -> Finding:
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    found = f"{available / 1024**3:.1f} GiB free"
    return Finding("6 GiB of memory", available >= LAB_MEMORY_BYTES, found, "end other work")


def _findings() -> Iterator[Finding]:
    checks: tuple[Callable[[], Finding], ...] = (_python, _root, _engine, _disk, _memory)
    yield from (check() for check in checks)
    yield _tool("debootstrap", "debootstrap")
    yield _tool("ssh-keygen", "openssh-client")
    yield _tool("sshd", "openssh-server")
    yield _tool("ip", "iproute2")
    yield _tool("npm", "npm")


def doctor(
    target: Annotated[
        str | None, typer.Option("--target", help="Look around on this target instead.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    inventory: InventoryFile = None,
) -> None:
    """Say what this machine lacks for the lab, and how to get it; or look around on a target.

    On a target: memory by service, connections, slow queries, locks, PM2 or containers, disks,
    recent errors; changes nothing. Exit code 0 when nothing is missing (everything could be seen),
    1 otherwise.

    Example: connect-infra doctor --target lab
    """
    if target is not None:
        show_diagnosis(target, as_json, inventory)
    findings = list(_findings())
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _show(findings)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


def _show(findings: list[Finding]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "needed", "found", "what to do"):
        table.add_column(heading)
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else "[red]missing[/]"
        table.add_row(mark, finding.name, finding.found, "" if finding.ok else finding.remedy)
    Console().print(table)
