"""`connect-infra lab`: disposable hosts on this machine's Docker engine."""

import json
import os
import shutil
from typing import Annotated

import typer
from rich.console import Console

from connect_infra.document import Sizing, Topology
from connect_infra.errors import LabError
from connect_infra.lab import Lab, LabHost, engine
from connect_infra.lab.hosts import HOST_OF
from connect_infra.targets.lab import state_dir

app = typer.Typer(help="Disposable lab hosts on Docker.", no_args_is_help=True)


Which = Annotated[
    Topology, typer.Option(help="The native host (lab) or the Docker host (lab-containers).")
]


def _progress(message: str) -> None:
    Console(stderr=True).print(f"lab: {message}", highlight=False)


@app.command("engine")
def start_engine() -> None:
    """Make sure that a Docker engine answers; start one when none does.

    Example: connect-infra lab engine
    """
    state = state_dir()
    state.mkdir(parents=True, exist_ok=True)
    client = engine.ensure(state, _progress)
    _progress(f"engine {client.version()['Version']} answers")


@app.command()
def up(
    sizing: Annotated[
        Sizing, typer.Option(help="The documents' exact sizes, or their share of 8 GiB.")
    ] = "scaled",
    topology: Which = "native",
) -> None:
    """Boot a bare host, the target `lab` (the base image is built first where it is missing).

    With `--topology containers` it is `lab-containers`, made for a Docker engine of its own; the
    two can be up side by side.

    A host that is up already is left as it is. With `--sizing documented` this machine's kernel
    must have vm.overcommit_memory = 1: PostgreSQL then starts with more than there is.

    Example: connect-infra lab up
    """
    host = Lab(_progress).up(HOST_OF[topology], sizing=sizing, topology=topology)
    _progress(f"{host.target_name} is up at {host.address}")


@app.command()
def down(
    images: Annotated[bool, typer.Option("--images", help="Remove the images as well.")] = False,
) -> None:
    """Remove all hosts and the network of this lab; its keys and secrets stay in its directory.

    Example: connect-infra lab down --images
    """
    Lab(_progress).down(images=images)
    _progress("down")


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print the hosts as JSON.")] = False,
) -> None:
    """List the hosts of this lab. Exit code 1 when there is none.

    Example: connect-infra lab status --json
    """
    found = [
        {"target": host.target_name, "state": host.container.status, "host": host.address}
        for host in Lab(_progress).hosts()
    ]
    if as_json:
        print(json.dumps({"hosts": found}, indent=2))
    else:
        for host in found:
            print(f"{host['target']:10} {host['state']:10} {host['host']}")
        if not found:
            print("the lab is down")
    raise typer.Exit(0 if found else 1)


@app.command()
def shell(topology: Which = "native") -> None:
    """Open a root shell on the host, through the engine.

    Example: connect-infra lab shell
    """
    container = str(_first(Lab(_progress), topology).container.name)
    if shutil.which("docker") is None:
        raise LabError(
            expected="Docker's client program",
            found="no `docker` on the PATH",
            where="lab shell",
            remedy="apt-get install docker.io (or: make setup)",
        )
    os.execvp("docker", ["docker", "exec", "-it", container, "/bin/bash", "-l"])


@app.command()
def reset(topology: Which = "native") -> None:
    """Replace the host by a bare one.

    Example: connect-infra lab reset
    """
    lab = Lab(_progress)
    host = _first(lab, topology)
    host.remove()
    again = lab.up(host.name, sizing=host.sizing, topology=topology)
    _progress(f"{again.target_name} is a bare host again")


def _first(lab: Lab, topology: Topology) -> LabHost:
    host = lab.find(HOST_OF[topology])
    if host is None:
        raise LabError(
            expected=f"a lab host of topology {topology} that is up",
            found="none",
            where="lab",
            remedy=f"run: connect-infra lab up --topology {topology}",
        )
    return host
