"""The command line as a person meets it: exit codes, one-line errors, help with examples."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from connect_infra.cli import overview

RECORDED = Path(__file__).parent / "report" / "data"

COMMANDS = (
    ["plan"], ["apply"], ["verify"], ["controls"], ["doctor"], ["report"],
    ["drift"], ["coverage"],
    ["load", "run"], ["load", "compare"], ["load", "list"],
    ["deploy"], ["rollback"], ["confirm"], ["backup"], ["restore"], ["health"],
    ["release", "build"],
    ["lab", "up"], ["lab", "down"], ["lab", "status"], ["lab", "reset"], ["lab", "shell"],
)  # fmt: skip


def run(*arguments, cwd):
    program = "from connect_infra.cli import main; main()"
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example(command, tmp_path):
    done = run(*command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert f"Example: connect-infra {' '.join(command)}" in done.stdout


HEAVY = {"docker", "pytest", "paramiko", "gevent", "provisioning", "chaos", "loadtests"}
"""What takes long to import, and only some commands need."""


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ([], set()),
        (["nowhere"], set()),
        (["health"], set()),
        (["deploy"], set()),
        (["verify"], {"pytest"}),
        (["load"], {"loadtests"}),
        (["lab", "up"], {"docker", "paramiko"}),
    ],
    ids=lambda command: " ".join(command) if isinstance(command, list) else "",
)
def test_a_command_imports_nothing_that_only_others_need(command, needed, tmp_path):
    program = (
        "import atexit, sys\n"
        "end = lambda: print(' '.join(sys.modules), file=sys.stderr)\n"
        "atexit.register(end)\n"
        "from connect_infra.cli import main; main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == (2 if command == ["nowhere"] else 0), done.stderr
    imported = set(done.stderr.splitlines()[-1].split())
    assert "typer" in imported
    assert imported & HEAVY == needed


@pytest.mark.parametrize("name", overview.LINES)
def test_the_overview_says_what_a_command_says_of_itself(name):
    own = " ".join(overview.command(name).help.partition("\n\n")[0].split())
    assert overview.LINES[name].says == own


@pytest.mark.parametrize(("command", "code"), [("plan", 1), ("apply", 1), ("verify", 2)])
def test_an_unknown_target_is_one_line(command, code, tmp_path):
    done = run(command, "--target", "nowhere", cwd=tmp_path)
    assert done.returncode == code
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert any("found the target 'nowhere'" in line for line in said)
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", [["deploy", "x.tar.gz"], ["health"], ["doctor"]], ids=" ".join)
def test_an_operation_on_an_unknown_target_is_one_line(command, tmp_path):
    done = run(*command, "--target", "nowhere", cwd=tmp_path)
    assert done.returncode == 1
    assert "found the target 'nowhere'" in done.stderr
    assert "Traceback" not in done.stderr


PRODUCTION = """
[targets.live]
host = "203.0.113.10"
key = "key"
production = true
"""


@pytest.mark.parametrize("command", [["deploy", "x.tar.gz"], ["restore"]], ids=" ".join)
def test_in_production_the_name_is_asked_for_before_anything_is_sent(command, tmp_path):
    (tmp_path / "connect-infra.toml").write_text(PRODUCTION)
    (tmp_path / "key").touch()
    done = run(*command, "--target", "live", "--yes", cwd=tmp_path)
    assert done.returncode == 1
    assert "Type its name to go on" in done.stderr


def test_a_mistake_in_the_inventory_names_file_target_and_key(tmp_path):
    (tmp_path / "connect-infra.toml").write_text('[targets.staging]\nhots = "staging.example"\n')
    done = run("plan", "--target", "staging", cwd=tmp_path)
    assert done.returncode == 1
    for part in ("connect-infra.toml", "staging", "hots"):
        assert part in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("target", ["staging", "production", "lab-main"])
def test_nothing_but_the_lab_is_broken(target, tmp_path):
    done = run("drift", "--target", target, cwd=tmp_path)
    assert done.returncode == 2
    assert f"found '{target}'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_drift_of_an_unknown_control_is_one_line(tmp_path):
    done = run("drift", "--control", "redis-cache.timeot", cwd=tmp_path)
    assert done.returncode == 2
    assert "found 'redis-cache.timeot'" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_option_is_usage(tmp_path):
    done = run("verify", "--tarjet", "lab", cwd=tmp_path)
    assert done.returncode == 2
    assert "--target" in done.stderr


def test_controls_lists_every_documented_statement(tmp_path):
    done = run("controls", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    rows = listed if isinstance(listed, list) else listed["controls"]
    shared_buffers = next(row for row in rows if row["id"] == "postgresql.shared_buffers")
    assert shared_buffers["documented"] == "24GB"
    assert shared_buffers["component"] == "postgresql"
    assert shared_buffers["specs"]


def test_report_writes_one_page_and_says_where(tmp_path):
    done = run("report", f"{RECORDED}/verify_ok.json", f"{RECORDED}/drift.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("report.html: Does not hold: drift")
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "lab is as documented" in page


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["nothing.json"], ("nothing.json", "No such file")),
        ([__file__], ("test_command_line.py", "expected results as JSON")),
        ([f"{RECORDED}/load.json", "--out", "gone/x.html"], ("gone/x.html", "no directory")),
    ],
)
def test_what_report_can_not_use_is_one_line(arguments, parts, tmp_path):
    done = run("report", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    for part in parts:
        assert part in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_doctor_says_what_is_missing_and_how_to_get_it(tmp_path):
    done = run("doctor", "--json", cwd=tmp_path)
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert findings["Python 3.11 or newer"]["ok"]
    assert all(finding["remedy"] for finding in findings.values())
    assert done.returncode == (0 if all(one["ok"] for one in findings.values()) else 1)
