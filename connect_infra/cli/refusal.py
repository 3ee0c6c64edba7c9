"""How a person is told what can't be done: one line."""

from rich.console import Console

from connect_infra.errors import ConnectInfraError


def say_refused(problem: ConnectInfraError) -> None:
    """Say in one line what is wrong."""
    Console(stderr=True, soft_wrap=True).print(
        f"error: {problem}", style="red", markup=False, highlight=False
    )
