"""`connect-infra release`: packages of the application's stand-in, for lab hosts."""

from pathlib import Path
from typing import Annotated

import typer

from connect_infra.cli.common import refused
from connect_infra.errors import ConnectInfraError
from connect_infra.lab.release import build_release

app = typer.Typer(help="Packages of the stand-in release.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Packages of the stand-in release."""


@app.command()
def build(
    version: Annotated[str, typer.Option(help="The version that it will say it is.")],
    out: Annotated[Path, typer.Option(help="The directory to write it into.")] = Path("build"),
) -> None:
    """Build a package of the stand-in release, as `deploy` takes it; print its path.

    A package of the real application has the same shape: see docs/operations.md.

    Example: connect-infra release build --version 1.4.0 --out build
    """
    try:
        print(build_release(out, version))
    except ConnectInfraError as problem:
        raise refused(problem) from problem
