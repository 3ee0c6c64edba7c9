"""The command and its guards, as far as they go without a host."""

import pytest
from typer.testing import CliRunner

from connect_infra.cli import app
from connect_infra.errors import ConnectInfraError, GuardError, LoadError
from connect_infra.targets import Guards, Target
from loadtests.guards import require_allowed
from loadtests.host_side import limited
from loadtests.plan import Plan
from loadtests.profile import load_profile
from loadtests.route import require_on_route
from loadtests.sources import client_addresses

EXAMPLE = "203.0.113.10"
"""The documents' server, an address reserved for examples: asked about, never spoken to."""


@pytest.fixture(autouse=True)
def _results(tmp_path, monkeypatch):
    monkeypatch.setenv("CONNECT_INFRA_LOAD", str(tmp_path / "load"))
    monkeypatch.setenv("CONNECT_INFRA_STATE", str(tmp_path / "state"))


def test_nothing_is_kept_at_first():
    done = CliRunner().invoke(app, ["load", "list"])
    assert (done.exit_code, done.output.strip()) == (0, "no run was kept")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "everything", "--target", "lab"], "expected one of capacity, connected"),
        (["compare", "this", "that"], "connect-infra load list"),
    ],
)
def test_a_mistake_is_one_line(arguments, says):
    done = CliRunner().invoke(app, ["load", *arguments])
    assert isinstance(done.exception, ConnectInfraError)
    assert says in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--workers", "7"], "a number of workers that divides 300 users, found 7"),
        (["--remote"], "the number of workers on other machines, found 0"),
    ],
)
def test_a_wrong_number_of_workers_is_one_line(tmp_path, arguments, says):
    (tmp_path / "inventory.toml").write_text(
        '[targets.here]\nway = "local"\nguards = { load = true }\n'
    )
    inventory = ["--inventory", str(tmp_path / "inventory.toml")]
    command = ["load", "run", "smoke", "--target", "here", *inventory, *arguments]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, LoadError)
    assert says in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--workers", "-1"], "--workers"),
        (["--seconds", "1"], "--seconds"),
        (["--seconds", "inf"], "--seconds"),
        (["--seconds", "nan"], "--seconds"),
        (["--json", "/nowhere/run.json"], "no file can be written"),
        (["--json", "/"], "no file can be written"),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_looked_at(arguments, says):
    done = CliRunner().invoke(app, ["load", "run", "smoke", "--target", "lab", *arguments])
    assert done.exit_code == 2
    assert says in done.output


@pytest.mark.parametrize("command", [[], ["run"], ["compare"], ["list"]])
def test_every_command_explains_itself(command):
    done = CliRunner().invoke(app, ["load", *command, "--help"])
    assert done.exit_code == 0
    assert f"connect-infra load {' '.join(command)}".strip() in done.output
    assert not command or "Example: connect-infra load" in done.output


def test_a_run_that_can_not_be_read_hides_no_other(tmp_path):
    home = tmp_path / "load" / "20260401T010000Z-smoke-lab"
    home.mkdir(parents=True)
    (home / "run.json").write_bytes(b"\xd0\xcf\x11")
    done = CliRunner().invoke(app, ["load", "list"])
    assert done.exit_code == 0
    assert f"{home.name}                    can't be read" in done.output
    refused = CliRunner().invoke(app, ["load", "compare", "latest", "latest"])
    assert isinstance(refused.exception, LoadError)


def test_a_target_that_does_not_allow_load_gets_none():
    with pytest.raises(GuardError, match=r"guards\.load = false"):
        require_allowed(Target(name="production", host="192.0.2.1", production=True))


def test_a_lab_address_that_no_lab_host_has_gets_none():
    with pytest.raises(GuardError, match="an address of a running lab host"):
        require_allowed(Target(name="lab", host=EXAMPLE, lab=True, guards=Guards(load=True)))


def test_load_for_a_lab_host_never_leaves_this_machines_networks():
    plan = Plan(profile=load_profile("smoke"), address=EXAMPLE, domain="x.test", lab=True)
    with pytest.raises(GuardError):
        require_on_route(plan)


def test_users_of_a_site_on_this_machine_come_from_the_loopback():
    with client_addresses("127.0.0.1", 3, lab=False) as addresses:
        assert addresses == ("127.0.1.1", "127.0.1.2", "127.0.1.3")


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (
            {
                "memory.limit_in_bytes": "1000\n",
                "memory.usage_in_bytes": "700\n",
                "memory.stat": "cache 5\ntotal_inactive_file 200\n",
            },
            {"used": 500, "total": 1000},
        ),
        (
            {
                "memory.max": "1000\n",
                "memory.current": "700\n",
                "memory.stat": "inactive_file 300\n",
            },
            {"used": 400, "total": 1000},
        ),
        (
            {"memory.max": "max\n", "memory.current": "7\n", "memory.stat": "inactive_file 3\n"},
            None,
        ),
        ({}, None),
    ],
)
def test_the_memory_of_a_control_group(tmp_path, files, found):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert limited(tmp_path) == found
