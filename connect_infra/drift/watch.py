"""One look at a target: a pytest process of its own runs the wanted specs and tells what each saw.

Run as a module it is that process: it reads what to look at as JSON from standard input, and writes
what each spec said to the file that is named there.
"""

import json
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from connect_infra.drift.verdicts import Seen
from connect_infra.errors import ObservationError
from connect_infra.report.collection import PROJECT
from connect_infra.report.plugin import IN_PROCESS, RECORD
from connect_infra.report.plugin.controls import control_of
from connect_infra.report.results import Result

LIMIT = 400
"""Seconds for one look; the longest intrusive spec waits 80 s for an answer."""

Specs = Mapping[str, Iterable[str]]
"""The names of the specs by control."""


def look(target: str, specs: Specs, intrusive: Collection[str] = ()) -> tuple[Seen, ...]:
    """Run these specs and return what they saw; ObservationError when pytest could not do it.

    With `intrusive`, only the intrusive ones of these names are run.
    """
    names = {name for of_control in specs.values() for name in of_control}
    with TemporaryDirectory(prefix="connect-infra-") as private:
        written = Path(private) / "seen.json"
        wanted = {
            "target": target,
            "controls": sorted(specs),
            "files": sorted({name.partition("::")[0] for name in names}),
            "intrusive": sorted(intrusive),
            "written": str(written),
        }
        said = _run([sys.executable, "-m", __name__], json.dumps(wanted))
        if not written.exists():
            raise ObservationError(
                expected="results of the specs",
                found=(said.strip().splitlines() or ["nothing"])[-1],
                where=f"target {target}",
                remedy=f"run: pytest specs --target {target}",
            )
        rows = json.loads(written.read_text(encoding="utf-8"))
    return tuple(Seen(row["spec"], Result(**row["result"])) for row in rows)


def _run(command: list[str], told: str) -> str:
    """Run a process and return what it wrote, or that it did not end in time."""
    try:
        done = subprocess.run(
            command,
            input=told,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no end within {LIMIT} s"
    return done.stdout + done.stderr


class _Watch:
    """Keeps the wanted specs and takes what each says, before it is merged with others."""

    def __init__(self, wanted: Mapping[str, Any]) -> None:
        self.controls = frozenset(wanted["controls"])
        self.intrusive = frozenset(wanted["intrusive"])
        self.seen: list[Seen] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what is not wanted; the plugin has noted the controls before."""
        items[:] = [item for item in items if self._wanted(item)]

    def _wanted(self, item: pytest.Item) -> bool:
        named = getattr(item, "originalname", item.name) in self.intrusive
        return control_of(item) in self.controls and (named or not self.intrusive)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the result that the plugin has put into the report."""
        for name, value in report.user_properties:
            if name == RECORD and (report.when == "call" or not report.passed):
                assert isinstance(value, dict)
                self.seen.append(Seen(report.nodeid, Result(**value)))


def main() -> None:
    """Be the process that looks."""
    wanted = json.load(sys.stdin)
    watch = _Watch(wanted)
    options = ["-q", "--no-header", f"--target={wanted['target']}"]
    options += IN_PROCESS
    options += ["--intrusive"] if wanted["intrusive"] else []
    code = pytest.main([*wanted["files"], *options], [watch])
    if code in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED} and watch.seen:
        rows = [{"spec": one.spec, "result": asdict(one.result)} for one in watch.seen]
        Path(wanted["written"]).write_text(json.dumps(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
