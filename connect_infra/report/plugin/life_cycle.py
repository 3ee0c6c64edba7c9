"""The life of a run: its options, the meeting with its target, and its end."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from connect_infra.errors import ConnectInfraError
from connect_infra.report.plugin import NOTHING_ASSERTED, SPECS, UNUSABLE, gathering
from connect_infra.report.plugin.gathering import workerinput
from connect_infra.report.plugin.verification import Verification, begin, verification_of
from connect_infra.transport import implementation

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

HYPOTHESIS = "hypothesispytest"

STEALING = "worksteal"
"""How xdist shares specs out: `load` would give one worker all the few that wait for the target."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that choose a target and what to do with the results."""
    group = parser.getgroup("connect-infra", "verification of a target")
    group.addoption("--target", default="lab", help="the target's name in the inventory")
    group.addoption("--inventory", help="the inventory file (connect-infra.toml)")
    group.addoption("--results", metavar="FILE", help="write the results as JSON")
    group.addoption("--component", help="only the specs of one documented component")
    group.addoption(
        "--intrusive",
        action="store_true",
        help="also run specs that disturb the target, where its guards allow it",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Meet the target before anything else: what is wrong with it is one line."""
    if not _wanted(config):
        return
    try:
        verification = Verification(config)
        if config.getoption("--component"):
            verification.document.component(config.getoption("--component"))
    except ConnectInfraError as problem:
        pytest.exit(str(problem), returncode=UNUSABLE)
    if verification.intrusive and config.getoption("numprocesses", None):
        pytest.exit(
            "--intrusive: expected one process, found -n; leave out -n, for these specs would "
            "disturb each other",
            returncode=UNUSABLE,
        )
    _leave_the_summary_to_us(config)
    if config.getoption("dist", "no") == "load":
        config.option.dist = STEALING
    begin(config, verification)
    if not workerinput(config):
        implementation(verification.target.way)  # its imports are not for the thread
        gathering.start(config, verification.gather)


def _leave_the_summary_to_us(config: pytest.Config) -> None:
    """Keep pytest from saying at length what our summary says, unless it was asked to."""
    if config.option.tbstyle == "auto":
        config.option.tbstyle = "no"
    if config.option.reportchars == "fE":
        config.option.reportchars = ""
    # No spec uses hypothesis, and its summary takes longer than the specs: it imports all of it.
    if config.pluginmanager.has_plugin(HYPOTHESIS):
        config.pluginmanager.unregister(name=HYPOTHESIS)


def _wanted(config: pytest.Config) -> bool:
    """Whether specs are among what pytest was asked to run."""
    if config.option.collectonly or config.option.help:
        return False
    specs = config.rootpath / SPECS
    paths = (config.invocation_params.dir / arg.partition("::")[0] for arg in config.args)
    return any(specs == path.resolve() or specs in path.resolve().parents for path in paths)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the results; a run that asserted nothing has not succeeded."""
    config = session.config
    verification = verification_of(config)
    if verification is None or workerinput(config):
        return
    run = verification.run()
    path = config.getoption("--results")
    if path is not None and exitstatus != UNUSABLE:
        Path(path).write_text(run.to_json(), encoding="utf-8")
    nothing = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    if nothing and not run.asserted:
        session.exitstatus = NOTHING_ASSERTED
    if verification.died and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no connection behind."""
    verification = verification_of(config)
    if verification is not None:
        verification.close()


def pytest_terminal_summary(
    terminalreporter: "TerminalReporter", exitstatus: int, config: pytest.Config
) -> None:
    """Print the summary that a person reads."""
    verification = verification_of(config)
    if verification is None:
        return
    from rich.console import Console

    from connect_infra.report.summary import summarise

    terminalreporter.ensure_newline()
    console = Console(
        file=terminalreporter._tw._file,
        force_terminal=terminalreporter.hasmarkup or None,
        highlight=False,
    )
    for trouble in (*verification.troubles, *verification.died):
        console.print(trouble, style="red", markup=False, soft_wrap=True)
    if exitstatus != UNUSABLE:  # which is also pytest's own code for a run that was cut short
        summarise(verification.run(), verification.errata_in_force(), console)
