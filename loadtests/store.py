"""Where results are kept: one directory a run, with the rows as they came and the one document."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from connect_infra.errors import LoadError
from loadtests.result import LoadRun

DOCUMENT = "run.json"
ROWS = "rows.jsonl"
PLAN = "plan.json"
LOG = "locust.log"
RESERVE = "reserve"

RESERVED_BYTES = 4_000_000
"""Room that is kept for the document: the rows may fill the disk, and then it must say so."""


class Store:
    """All runs that are kept in one directory."""

    def __init__(self, home: Path | None = None) -> None:
        """Results lie in $CONNECT_INFRA_LOAD, else in .load, unless `home` says otherwise."""
        self.home = home or Path(os.environ.get("CONNECT_INFRA_LOAD", ".load"))

    def new(self, profile: str, target: str, now: datetime) -> Path:
        """A new run's directory; its name is the run's id. LoadError without room for it."""
        path = self.home / f"{now:%Y%m%dT%H%M%SZ}-{profile}-{target}"
        try:
            path.mkdir(parents=True)
            with (path / RESERVE).open("wb") as reserve:
                os.posix_fallocate(reserve.fileno(), 0, RESERVED_BYTES)
        except OSError as problem:
            raise _unusable(path, problem) from problem
        return path

    def save(self, path: Path, run: LoadRun) -> None:
        """Write the document of a run, in one step; LoadError when there is no room for it."""
        beside = path / f"{DOCUMENT}.new"
        try:
            (path / RESERVE).unlink(missing_ok=True)
            beside.write_text(run.to_json(), encoding="utf-8")
            beside.replace(path / DOCUMENT)
        except OSError as problem:
            raise _unusable(path / DOCUMENT, problem) from problem

    def load(self, name: str) -> LoadRun:
        """A run by its id, its file, or `latest`; LoadError when there is none."""
        file = Path(name)
        if not file.is_file():
            ids = self.ids()
            chosen = ids[-1] if name == "latest" and ids else name
            file = self.home / chosen / DOCUMENT
        try:
            return LoadRun.parse(file.read_text(encoding="utf-8"), str(file))
        except (OSError, UnicodeDecodeError) as problem:
            raise LoadError(
                expected="a run's id, its file, or `latest`",
                found=name,
                where=str(self.home),
                remedy="see them with: connect-infra load list",
            ) from problem

    def ids(self) -> list[str]:
        """All runs that have a document, the oldest first."""
        return sorted(file.parent.name for file in self.home.glob(f"*/{DOCUMENT}"))

    def last_good(self, run: LoadRun) -> LoadRun | None:
        """The newest earlier run of the same profile and target that met its objectives."""
        ending = re.compile(rf".*Z-{re.escape(run.profile.name)}-{re.escape(run.target)}")
        for name in reversed(self.ids()):
            if name < run.id and ending.fullmatch(name):
                found = self.load(name)
                if found.verdict == "met" and found.profile == run.profile:
                    return found
        return None

    @contextmanager
    def alone(self, target: str) -> Iterator[None]:
        """Keep a second run from the same target; LoadError when there is one already."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / f".{target}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as problem:
                raise LoadError(
                    expected="one run at a time against a target",
                    found="another one",
                    where=f"target {target}",
                    remedy="wait for its end",
                ) from problem
            yield


def _unusable(path: Path, problem: OSError) -> LoadError:
    return LoadError(
        expected="room for the results",
        found=problem.strerror or str(problem),
        where=str(path),
        remedy="make room or name another place in $CONNECT_INFRA_LOAD",
    )
