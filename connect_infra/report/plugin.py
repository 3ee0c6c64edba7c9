"""The pytest plugin: gives specs a target's facts, and turns their outcomes into verdicts.

A spec names the controls that it asserts; it runs once for each, and its test id holds the
control's id. A target's facts are gathered once, in a thread of the main process while tests are
collected; with xdist the workers read them from a private file, which is gone when the run ends.
"""

import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest
from rich.console import Console

from connect_infra import document
from connect_infra.document import Control, Document, Expectation, Topology
from connect_infra.errors import ConnectInfraError, GuardError
from connect_infra.facts import MODULES
from connect_infra.facts.gather import Facts, RawFacts, gather
from connect_infra.report import messages
from connect_infra.report.messages import WaiverNote
from connect_infra.report.results import Result, Run, Status, merge, summarise
from connect_infra.targets import (
    Secrets,
    Target,
    load_inventory,
    load_secrets,
    load_waivers,
)
from connect_infra.transport import Connection, connect, implementation

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter
    from testinfra.host import Host

SPECS = "specs"
"""The directory whose tests are specs, below pytest's root directory."""

CONTAINERS = "containers"
"""The directory of the specs of the containers topology; the others are native."""

UNUSABLE = 2
"""Exit code when the target can't be used: unknown, unreachable, or it forbids what was asked."""

NOTHING_ASSERTED = 1

HYPOTHESIS = "hypothesispytest"

OWN_SECRET = "(the target's own secret)"
"""Stands where an expected secret would: the documents print a placeholder there."""

RECORD = "connect_infra"
"""The user property that carries a result from a test to the report, also between processes."""

_control_id = pytest.StashKey[str]()
_seen = pytest.StashKey[list[str]]()
_session = pytest.StashKey["Verification"]()
_gathering = pytest.StashKey[Future[RawFacts]]()
_private = pytest.StashKey[Path]()

Observed = TypeVar("Observed")


class Verification:
    """One run of specs against one target, in one process."""

    def __init__(self, config: pytest.Config) -> None:
        """Read the target's inventory entry, secrets and waivers; InventoryError if it can't be."""
        self.config = config
        inventory = config.getoption("--inventory")
        path = Path(inventory) if inventory else None
        self.target: Target = load_inventory(path).target(config.getoption("--target"))
        self.document: Document = document.load(self.target.topology)
        self.secrets: Secrets = load_secrets(self.target)
        today = datetime.now(UTC).date()
        self.waivers = load_waivers(self.target.waivers, self.document.controls, today)
        self.expectations = self.document.on(
            self.target.sizing, self.target.memory, self.target.lab, self.target.domain
        )
        self.intrusive = bool(config.getoption("--intrusive"))
        if self.intrusive and not self.target.guards.intrusive:
            raise GuardError(
                expected="a target whose guards allow intrusive specs",
                found="intrusive = false",
                where=f"target {self.target.name}",
                remedy="leave out --intrusive, or set guards.intrusive in the inventory",
            )
        self.results: list[Result] = []
        self.troubles: list[str] = []
        """What went wrong outside of any control's verdict: collection, a worker, a bare test."""
        self.started = datetime.now(UTC)
        self.clock = time.perf_counter()
        self.round_trips_elsewhere = 0
        self._connection: Connection | None = None
        self._connecting = threading.Lock()
        self._facts: Facts | None = None

    @property
    def round_trips(self) -> int:
        """Round trips of this process' connection and of the workers'."""
        own = self._connection.round_trips if self._connection else 0
        return own + self.round_trips_elsewhere

    def connection(self) -> Connection:
        """Return this process' one connection to the target, made when first asked for."""
        with self._connecting:
            if self._connection is None:
                self._connection = connect(self.target)
            return self._connection

    def gather(self) -> RawFacts:
        """Read everything in one round trip. Raises TransportError."""
        return gather(self.connection(), self.secrets, MODULES[self.target.topology])

    @property
    def facts(self) -> Facts:
        """The target's facts, from the gathering thread or from the file of the main process."""
        if self._facts is None:
            handed = _workerinput(self.config).get("facts_file")
            if handed is None:
                raw = self.config.stash[_gathering].result()
            else:
                raw = json.loads(Path(handed).read_text(encoding="utf-8"))
            self._facts = Facts.from_raw(raw)
        return self._facts

    def close(self) -> None:
        """Close the connection, if there is one."""
        with self._connecting:
            if self._connection is not None:
                self._connection.close()

    def run(self) -> Run:
        """Return what is known so far as one run."""
        return Run(
            target=self.target.name,
            topology=self.target.topology,
            sizing=self.target.sizing,
            started=self.started.isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - self.clock, 3),
            round_trips=self.round_trips,
            controls=merge(self.results),
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what keeps specs from being collected."""
        if report.failed:
            self.troubles.append(f"{report.nodeid}: {report.longreprtext}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the verdict that a test's report carries."""
        carried = [value for name, value in report.user_properties if name == RECORD]
        if report.when == "call" or not report.passed:
            if report.failed and not carried:
                self.troubles.append(f"{report.nodeid}: {report.longreprtext}")
            self.results.extend(Result(**record) for record in carried[-1:])  # type: ignore[arg-type]

    def errata_in_force(self) -> list[str]:
        """Return the ids of the errata of the controls that were asserted."""
        asserted = [result.id for result in self.results]
        return [erratum.id for erratum in self.document.errata_in_force(asserted)]


# --- options, start and end ---------------------------------------------------------------------


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
    config.stash[_session] = verification
    config.pluginmanager.register(verification, "connect-infra-verification")
    if not _workerinput(config):
        implementation(verification.target.way)  # its imports are not for the thread
        config.stash[_gathering] = _in_thread(verification.gather)


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


def _workerinput(config: pytest.Config) -> dict[str, Any]:
    """Return what xdist's main process hands to this worker; empty in the main process."""
    return cast(dict[str, Any], getattr(config, "workerinput", {}))


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


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker where it will find the facts."""
    config: pytest.Config = node.config
    if _session not in config.stash:
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


def _write_privately(path: Path, raw: RawFacts) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(raw, file)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Add a worker's round trips to our own."""
    verification = node.config.stash.get(_session, None)
    if verification is not None:
        output = getattr(node, "workeroutput", None) or {}
        verification.round_trips_elsewhere += output.get("round_trips", 0)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the results; a run that asserted nothing has not succeeded."""
    config = session.config
    verification = config.stash.get(_session, None)
    if verification is None:
        return
    if _workerinput(config):
        config.workeroutput["round_trips"] = verification.round_trips  # type: ignore[attr-defined]
        return
    run = verification.run()
    path = config.getoption("--results")
    if path is not None and exitstatus != UNUSABLE:
        Path(path).write_text(run.to_json(), encoding="utf-8")
    nothing = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    if nothing and not run.asserted:
        session.exitstatus = NOTHING_ASSERTED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind: no connection, no facts on disk."""
    if _session in config.stash:
        config.stash[_session].close()
    if _private in config.stash:
        shutil.rmtree(config.stash[_private])


def pytest_terminal_summary(
    terminalreporter: "TerminalReporter", exitstatus: int, config: pytest.Config
) -> None:
    """Print the summary that a person reads."""
    verification = config.stash.get(_session, None)
    if verification is None:
        return
    terminalreporter.ensure_newline()
    console = Console(
        file=terminalreporter._tw._file,
        force_terminal=terminalreporter.hasmarkup or None,
        highlight=False,
    )
    for trouble in verification.troubles:
        console.print(trouble, style="red", markup=False, soft_wrap=True)
    if exitstatus != UNUSABLE:  # which is also pytest's own code for a run that was cut short
        summarise(verification.run(), verification.errata_in_force(), console)


# --- from controls to tests ---------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a spec once for each control that it asserts."""
    marker = metafunc.definition.get_closest_marker("controls")
    if marker is None:
        return
    topology = topology_of(metafunc.definition.path)
    ids = [control.id for control in controls_of(marker, topology)]
    metafunc.parametrize("control", ids, indirect=True, ids=ids)


def topology_of(path: Path) -> Topology:
    """Return what a spec is about: specs/containers/ holds document S, all others document A."""
    return "containers" if path.parent.name == CONTAINERS else "native"


def controls_of(marker: pytest.Mark, topology: Topology) -> tuple[Control, ...]:
    """Return the controls that a `controls` marker names; DocumentError if there is none.

    `where` is a test of a control, or the keys that are meant.
    """
    known = document.load(topology)
    if "component" in marker.kwargs:
        where = marker.kwargs.get("where", lambda control: True)
        chosen = where if callable(where) else lambda control: control.key in where
        found = tuple(one for one in known.component(marker.kwargs["component"]) if chosen(one))
    else:
        # In the document's order: xdist's workers must agree, also where a spec named a set.
        found = tuple(one for one in known.controls.values() if one.id in marker.args)
    unknown = [name for name in marker.args if name not in known.controls]
    if unknown or not found:
        raise pytest.UsageError(f"no such control: {', '.join(unknown) or marker.kwargs}")
    return found


def control_of(item: pytest.Item) -> str | None:
    """Return the id of the control that a collected spec asserts, None if it asserts none."""
    return item.stash.get(_control_id, None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the specs of the topology that the target doesn't have."""
    verification = config.stash.get(_session, None)
    if verification is None or collection_path.suffix != ".py":
        return None
    if config.rootpath / SPECS not in collection_path.parents:
        return None
    return topology_of(collection_path) != verification.target.topology or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note each spec's control; leave out what was not asked for or is not allowed."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        if item.get_closest_marker("controls") and callspec is not None:
            item.stash[_control_id] = callspec.params["control"]
    verification = config.stash.get(_session, None)
    kept = [item for item in items if _chosen(item, config, verification)]
    if len(kept) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept


def _chosen(item: pytest.Item, config: pytest.Config, run: Verification | None) -> bool:
    control_id = control_of(item)
    if control_id is None or run is None:
        return True
    component = config.getoption("--component")
    if component and run.document.controls[control_id].component != component:
        return False
    return bool(config.getoption("--intrusive")) or not item.get_closest_marker("intrusive")


# --- fixtures -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def verification(pytestconfig: pytest.Config) -> Verification:
    """The run of specs that this test belongs to."""
    if _session not in pytestconfig.stash:
        pytest.exit("specs: expected `pytest specs/`, found other paths", returncode=UNUSABLE)
    return pytestconfig.stash[_session]


@pytest.fixture(scope="session")
def target(verification: Verification) -> Target:
    """The target as the inventory describes it."""
    return verification.target


@pytest.fixture(scope="session")
def secrets(verification: Verification) -> Secrets:
    """The target's secrets, by name."""
    return verification.secrets


@pytest.fixture(scope="session")
def expectations(verification: Verification) -> Any:
    """What the target must show, by control id."""
    return verification.expectations


@pytest.fixture
def control(request: pytest.FixtureRequest, verification: Verification) -> Expectation:
    """What the target must show for the control that this spec asserts now."""
    expectation = verification.expectations[request.param]
    if not expectation.applicable:
        pytest.skip(expectation.reason or "not applicable on this target")
    return expectation


@pytest.fixture
def found(request: pytest.FixtureRequest) -> Callable[[Observed], Observed]:
    """Note what was found, for the results, and return it."""

    def note(value: Observed) -> Observed:
        request.node.stash.setdefault(_seen, []).append(_shown(value))
        return value

    return note


@pytest.fixture(scope="session")
def facts(verification: Verification) -> Facts:
    """What the target shows, gathered once for the whole run."""
    return verification.facts


@pytest.fixture(scope="session")
def connection(verification: Verification) -> Connection:
    """The live connection, for what can only be seen in behaviour."""
    return verification.connection()


@pytest.fixture(scope="session")
def host(connection: Connection) -> "Host":
    """Testinfra's vocabulary over the one connection."""
    return connection.testinfra()


def _shown(value: object) -> str:
    if isinstance(value, (frozenset, set)):
        return " ".join(sorted(map(str, value)))
    if isinstance(value, (tuple, list)):
        return " ".join(map(str, value))
    return str(value)


# --- from outcomes to verdicts ------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a test's outcome into its control's verdict."""
    report = yield
    verification = item.config.stash.get(_session, None)
    control_id = control_of(item)
    final = report.when == "call" or not report.passed
    if verification is None or control_id is None or not final:
        return report
    expectation = verification.expectations[control_id]
    result = _verdict(item, call, report, expectation, verification)
    if result.status == "waived":
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, f"waived: {result.message}")
    elif result.status in {"fail", "error"} and _needs_no_traceback(call):
        report.longrepr = result.message
    report.user_properties.append((RECORD, _record(result)))
    return report


def _record(result: Result) -> dict[str, Any]:
    return dict(vars(result))


def _needs_no_traceback(call: pytest.CallInfo[None]) -> bool:
    assert call.excinfo is not None
    return issubclass(call.excinfo.type, (AssertionError, ConnectInfraError))


def _verdict(
    item: pytest.Item,
    call: pytest.CallInfo[None],
    report: pytest.TestReport,
    expectation: Expectation,
    verification: Verification,
) -> Result:
    seen = item.stash.get(_seen, [])
    found = "; ".join(dict.fromkeys(seen)) if seen else None
    status, message = _status(call, report)
    expected = OWN_SECRET if expectation.control.type == "secret" else expectation.expected
    if status == "fail":
        difference = messages.difference(expected, found)
        message = f"{message}: {difference}" if message else difference
    if status in {"fail", "error"}:
        message += messages.advice(verification.document.errata_in_force([expectation.id]))
        waiver = verification.waivers.get(expectation.id)
        if waiver is not None:
            status = "waived"
            message += messages.waived(WaiverNote(waiver.owner, waiver.expires, waiver.reason))
    return Result(
        id=expectation.id,
        status=status,
        expected=expected,
        found=found,
        message=message,
        seconds=round(report.duration, 6),
    )


def _status(call: pytest.CallInfo[None], report: pytest.TestReport) -> tuple[Status, str]:
    if report.passed:
        return "pass", ""
    assert call.excinfo is not None
    problem = call.excinfo.value
    if report.skipped:
        return "not_applicable", str(getattr(problem, "msg", problem))
    if isinstance(problem, AssertionError):
        return "fail", _said(problem)
    if isinstance(problem, ConnectInfraError):
        return "error", str(problem)
    return "error", f"{type(problem).__name__}: {problem}".splitlines()[0]


def _said(problem: AssertionError) -> str:
    """Return the sentence that the spec itself gave with its assertion."""
    first = str(problem).partition("\n")[0]
    return "" if first.startswith("assert ") else first
