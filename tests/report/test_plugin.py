"""The plugin as `pytest specs/` uses it: verdicts, exit codes, guards, one round trip.

Each test runs pytest on specs of its own against this machine (way = "local").
"""

import json
import os
import subprocess
import sys
import time

import pytest

from connect_infra.targets import generate_secrets

SPECS = """
import pytest
from connect_infra.errors import ObservationError

@pytest.mark.controls("postgresql.work_mem")
def test_passes(control, facts, found):
    assert found("64MB") == control.expected

@pytest.mark.controls("postgresql.archive_command")
def test_fails(control, facts, found):
    assert found("/bin/true") == control.expected, "the server runs another"

@pytest.mark.controls("redis-cache.timeout")
def test_breaks(control, facts):
    raise ObservationError(expected="an answer", found="none", where="redis", remedy="start it")

@pytest.mark.controls("redis-cache.port")
def test_has_a_bug(control, facts):
    return {}["port"]

@pytest.mark.controls("pgbouncer.auth_type")
def test_is_waived(control, found):
    assert found("trust") == control.expected

@pytest.mark.controls("layout.backup")
def test_is_not_applicable(control):
    pytest.skip("there is no such thing here")

@pytest.mark.intrusive
@pytest.mark.controls("pgbouncer.pool_mode")
def test_disturbs(control):
    pass
"""

GATHERED = """
import pytest

@pytest.mark.controls(component="redis-queue")
def test_reads_the_facts(control, facts, found):
    assert found(facts.host.architecture)
"""


PHASES = """
import pytest

@pytest.fixture
def breaks_before():
    raise OSError("no way to set it up")

@pytest.fixture
def breaks_after():
    yield
    raise OSError("no way to take it down")

@pytest.mark.controls("postgresql.work_mem")
def test_passes(control):
    pass

@pytest.mark.controls("postgresql.max_connections")
def test_cannot_begin(control, breaks_before):
    pass

@pytest.mark.controls("postgresql.shared_buffers")
def test_cannot_end(control, breaks_after):
    pass
"""

ORDERED = """
import pytest

@pytest.mark.controls("postgresql.work_mem")
def test_reads(control): pass

@pytest.mark.controls("postgresql.max_connections")
def test_asks(control, through): pass

@pytest.fixture
def through(connection): pass
"""

COUNTING = """
import os

pytest_plugins = ["connect_infra.report.plugin"]

def pytest_runtest_logreport(report):
    if "PYTEST_XDIST_WORKER" not in os.environ:
        with open("reported", "a") as file:
            print(report.nodeid.rpartition("::")[2], report.when, report.outcome, file=file)
"""


@pytest.fixture
def project(tmp_path):
    """A directory with specs, and an inventory whose target is this machine."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["connect_infra.report.plugin"]\n')
    (tmp_path / "specs" / "test_some.py").write_text(SPECS)
    generate_secrets(tmp_path / "secrets.toml")
    (tmp_path / "waivers.toml").write_text(
        '[[waiver]]\ncontrol = "pgbouncer.auth_type"\nowner = "Kim"\n'
        'reason = "until the new pooler"\nexpires = 2999-01-01\n'
    )
    (tmp_path / "connect-infra.toml").write_text(
        '[targets.here]\nway = "local"\nsecrets = "secrets.toml"\nwaivers = "waivers.toml"\n'
        '[targets.gone]\nhost = "127.0.0.1"\nport = 9\nsecrets = "secrets.toml"\n'
        f'key = "{tmp_path}/secrets.toml"\nknown_hosts = "{tmp_path}/waivers.toml"\n'
    )
    return tmp_path


@pytest.fixture
def run(project):
    """Run `pytest specs` there; return its exit code, what it said, and its results."""

    def call(*arguments, target="here"):
        options = ["--target", target, "--results", "results.json", *arguments]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "specs", "-q", "-p", "no:cacheprovider", *options],
            cwd=project,
            env={**os.environ, "TMPDIR": str(project)},
            capture_output=True,
            text=True,
            check=False,
        )
        path = project / "results.json"
        found = json.loads(path.read_text()) if path.exists() else None
        return done.returncode, done.stdout + done.stderr, found

    return call


def by_id(results):
    return {control["id"]: control for control in results["controls"]}


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_spec_is_reported_once_and_what_breaks_around_it_too(run, project, workers):
    (project / "specs" / "test_some.py").write_text(PHASES)
    (project / "conftest.py").write_text(COUNTING)
    _, _, results = run(*workers)
    assert sorted((project / "reported").read_text().splitlines()) == [
        "test_cannot_begin[postgresql.max_connections] setup failed",
        "test_cannot_end[postgresql.shared_buffers] call passed",
        "test_cannot_end[postgresql.shared_buffers] teardown failed",
        "test_passes[postgresql.work_mem] call passed",
    ]
    assert {name: one["status"] for name, one in by_id(results).items()} == {
        "postgresql.work_mem": "pass",
        "postgresql.max_connections": "error",
        "postgresql.shared_buffers": "error",
    }


def test_each_outcome_becomes_its_verdict(run):
    code, said, results = run()
    controls = by_id(results)
    assert code == 1
    assert {name: one["status"] for name, one in controls.items()} == {
        "postgresql.work_mem": "pass",
        "postgresql.archive_command": "fail",
        "redis-cache.timeout": "error",
        "redis-cache.port": "error",
        "pgbouncer.auth_type": "waived",
        "layout.backup": "not_applicable",
    }
    assert "1 pass   1 fail   2 error   1 waived   1 not applicable" in said
    assert results["round_trips"] == 1
    assert (results["target"], results["sizing"]) == ("here", "documented")


def test_a_failure_says_what_was_expected_found_and_which_erratum_helps(run):
    message = by_id(run()[2])["postgresql.archive_command"]["message"]
    assert "the server runs another" in message
    assert "expected 'pgbackrest archive-push %p', found '/bin/true'" in message
    assert "[E01: " in message


def test_a_waiver_names_owner_reason_and_end(run):
    message = by_id(run()[2])["pgbouncer.auth_type"]["message"]
    assert "waived by Kim until 2999-01-01: until the new pooler" in message
    assert "found 'trust'" in message


def test_a_bug_in_a_spec_is_an_error_with_its_name(run):
    assert by_id(run()[2])["redis-cache.port"]["message"].startswith("KeyError: 'port'")


def test_an_expired_waiver_ends_the_run_before_it_starts(run, project):
    path = project / "waivers.toml"
    path.write_text(path.read_text().replace("2999", "1999"))
    code, said, results = run()
    assert (code, results) == (2, None)
    assert "expired on 1999-01-01" in said


def test_a_run_that_asserts_nothing_fails(run):
    code, said, _ = run("-k", "test_is_not_applicable")
    assert code == 1
    assert "Nothing was asserted" in said
    assert run("-k", "no_such_spec")[0] == 1


def test_all_pass_is_success(run):
    code, _, results = run("-k", "test_passes or test_is_waived")
    assert code == 0
    assert [one["status"] for one in results["controls"]] == ["pass", "waived"]


def test_one_component_only(run):
    _, _, results = run("--component", "postgresql")
    assert set(by_id(results)) == {"postgresql.work_mem", "postgresql.archive_command"}


def test_intrusive_specs_need_the_targets_consent(run):
    code, said, results = run("--intrusive")
    assert (code, results) == (2, None)
    assert "guards allow intrusive specs" in said


def test_intrusive_specs_run_where_they_are_allowed(run, project):
    path = project / "connect-infra.toml"
    allowed = "[targets.here]\nguards = { intrusive = true }\n"
    path.write_text(path.read_text().replace("[targets.here]\n", allowed))
    assert by_id(run("--intrusive")[2])["pgbouncer.pool_mode"]["status"] == "pass"
    assert "pgbouncer.pool_mode" not in by_id(run()[2])
    assert run("--intrusive", "-n", "2")[0] == 2


@pytest.mark.parametrize(
    ("target", "said"),
    [("nowhere", "found the target 'nowhere'"), ("gone", "127.0.0.1:9")],
)
def test_a_target_that_cannot_be_used_is_one_line_and_exit_code_2(run, target, said):
    for workers in ((), ("-n", "2")):
        started = time.monotonic()
        code, text, results = run(*workers, target=target)
        assert (code, results) == (2, None)
        assert len([line for line in text.splitlines() if said in line]) == 1
        assert "Traceback" not in text
        assert time.monotonic() - started < 20


def test_workers_give_the_same_verdicts_from_one_round_trip(run, project):
    (project / "specs" / "test_more.py").write_text(GATHERED)
    alone, shared = run()[2], run("-n", "2")[2]
    assert shared["round_trips"] == 1
    assert len(alone["controls"]) == 6 + 16
    assert {name: one["status"] for name, one in by_id(alone).items()} == {
        name: one["status"] for name, one in by_id(shared).items()
    }
    assert list(project.glob("connect-infra-*")) == []


def test_what_waits_for_the_target_runs_first(run, project):
    (project / "specs" / "test_some.py").write_text(ORDERED)
    (project / "conftest.py").write_text(COUNTING)
    run()
    assert [line.partition("[")[0] for line in (project / "reported").read_text().splitlines()] == [
        "test_asks",
        "test_reads",
    ]


def test_workers_take_what_another_has_not_begun(run):
    assert "WorkStealingScheduling" in run("-n", "2", "-vv")[1]


DYING = """
import os, pytest

@pytest.mark.controls(component="redis-cache", where=lambda control: control.key == "port")
def test_dies(control):
    os._exit(3)

@pytest.mark.controls(component="redis-queue")
def test_passes(control): pass
"""


def test_a_worker_that_dies_is_no_success(run, project):
    (project / "specs" / "test_some.py").write_text(DYING)
    code, said, _ = run("-n", "2")
    assert code == 1
    assert "what passed there is not known" in said


def test_workers_agree_on_controls_that_were_named_as_a_set(run, project):
    names = (
        'frozenset({"redis-queue.port", "redis-queue.bind", "redis-queue.timeout", "env.NODE_ENV"})'
    )
    spec = f"@pytest.mark.controls(*{names})\ndef test_x(control): pass\n"
    (project / "specs" / "test_some.py").write_text(f"import pytest\n{spec}")
    code, said, results = run("-n", "2")
    assert code == 0, said
    assert len(results["controls"]) == 4


def test_specs_that_cannot_be_read_are_shown(run, project):
    (project / "specs" / "test_more.py").write_text("import no_such_module\n")
    code, said, _ = run()
    assert code != 0
    assert "No module named 'no_such_module'" in said


def test_an_unknown_control_in_a_spec_is_refused(run, project):
    spec = '@pytest.mark.controls("no.such")\ndef test_x(control): pass\n'
    (project / "specs" / "test_some.py").write_text(f"import pytest\n{spec}")
    code, said, _ = run()
    assert code != 0
    assert "no.such" in said


def test_the_thread_that_gathers_imports_no_library():
    """Two threads that import paramiko at once can fail in the midst of it."""
    source = (
        "import sys\n"
        "from connect_infra.transport import implementation\n"
        "implementation('ssh')\n"
        "print('paramiko.transport' in sys.modules, end=' ')\n"
        "import connect_infra.web\n"
        "print('docker' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.stdout == "True False\n", done.stderr


def test_specs_of_the_other_topology_are_not_run(run, project):
    folder = project / "specs" / "containers"
    folder.mkdir()
    spec = """
import pytest

@pytest.mark.controls("containers.app1")
def test_of_a_docker_host(control, found):
    assert found("blue, port 3000, primary") == control.expected
"""
    (folder / "test_containers.py").write_text(spec)
    assert "containers.app1" not in by_id(run()[2])
    generate_secrets(project / "secrets-docker.toml", "containers")
    with (project / "connect-infra.toml").open("a") as inventory:
        inventory.write(
            '[targets.docker]\nway = "local"\ntopology = "containers"\n'
            'secrets = "secrets-docker.toml"\n'
        )
    code, said, results = run(target="docker")
    assert code == 0, said
    assert {name: one["status"] for name, one in by_id(results).items()} == {
        "containers.app1": "pass"
    }
    assert results["topology"] == "containers"
