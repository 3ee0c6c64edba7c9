"""A target's facts, gathered once: by a thread of the main process while tests are collected.

With xdist the workers read them from a private file, which is gone when the run ends.
"""

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from connect_infra.errors import ConnectInfraError
from connect_infra.facts.gather import RawFacts
from connect_infra.report.plugin import UNUSABLE

_gathering = pytest.StashKey[Future[RawFacts]]()
_private = pytest.StashKey[Path]()

Observed = TypeVar("Observed")


def workerinput(config: pytest.Config) -> dict[str, Any]:
    """Return what xdist's main process hands to this worker; empty in the main process."""
    return cast(dict[str, Any], getattr(config, "workerinput", {}))


def start(config: pytest.Config, gather: Callable[[], RawFacts]) -> None:
    """Begin to gather the facts of this run."""
    config.stash[_gathering] = _in_thread(gather)


def gathered(config: pytest.Config) -> RawFacts:
    """Return the facts, from the gathering thread or from the file of the main process."""
    handed = workerinput(config).get("facts_file")
    if handed is None:
        return config.stash[_gathering].result()
    return cast(RawFacts, json.loads(Path(handed).read_text(encoding="utf-8")))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker where it will find the facts."""
    config: pytest.Config = node.config
    if _gathering not in config.stash:
        return
    if _private not in config.stash:
        config.stash[_private] = Path(tempfile.mkdtemp(prefix="connect-infra-"))
    node.workerinput["facts_file"] = str(config.stash[_private] / "facts.json")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Wait for the facts before the first test; a target that can't be read ends the run here."""
    config = session.config
    if _gathering not in config.stash or session.testsfailed:
        return
    try:
        raw = config.stash[_gathering].result()
    except ConnectInfraError as problem:
        pytest.exit(str(problem), returncode=UNUSABLE)
    if _private in config.stash:
        _write_privately(config.stash[_private] / "facts.json", raw)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no facts on disk."""
    if _private in config.stash:
        shutil.rmtree(config.stash[_private])


def _in_thread(work: Callable[[], Observed]) -> "Future[Observed]":
    """Start `work` in a daemon thread: a host that hangs can't keep the process alive."""
    future: Future[Observed] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as problem:
            future.set_exception(problem)

    threading.Thread(target=run, name="gather facts", daemon=True).start()
    return future


def _write_privately(path: Path, raw: RawFacts) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(raw, file)
