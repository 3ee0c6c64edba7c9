"""Which specs there are, and which control each asserts: pytest's own collection, without a run."""

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path

import pytest

from connect_infra.errors import DocumentError
from connect_infra.report.plugin import SPECS
from connect_infra.report.plugin.controls import control_of

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout: specs are part of it, and of no installed package."""


class _Collector:
    """Takes the collected specs from pytest."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which control each collected spec asserts."""
        for item in session.items:
            control = control_of(item)
            if control is not None:
                self.names.setdefault(control, []).append(item.nodeid)


def collected(*selection: str) -> Mapping[str, list[str]]:
    """Return the test names of the specs by control id; DocumentError if they can't be read.

    `selection` is pytest's own, such as "-m", "not intrusive".
    """
    collector, said = _Collector(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = pytest.main(["--collect-only", "-q", *selection, str(PROJECT / SPECS)], [collector])
    if code != pytest.ExitCode.OK:
        lines = said.getvalue().strip().splitlines() or ["nothing"]
        raise DocumentError(
            expected="specs that can be collected",
            found=lines[-1],
            where=str(PROJECT / SPECS),
            remedy="run pytest --collect-only specs/",
        )
    return collector.names
