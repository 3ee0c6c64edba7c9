"""The command line as a person meets it: exit codes, one-line errors, help with examples."""

import json
import subprocess
import sys

import pytest

COMMANDS = (
    ["plan"], ["apply"], ["verify"], ["controls"], ["doctor"], ["drift"],
    ["coverage"],
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


@pytest.mark.parametrize(("command", "code"), [("plan", 1), ("apply", 1), ("verify", 2)])
def test_an_unknown_target_is_one_line(command, code, tmp_path):
    done = run(command, "--target", "nowhere", cwd=tmp_path)
    assert done.returncode == code
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert any("found the target 'nowhere'" in line for line in said)
    assert "Traceback" not in done.stdout + done.stderr


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


def test_doctor_says_what_is_missing_and_how_to_get_it(tmp_path):
    done = run("doctor", "--json", cwd=tmp_path)
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert findings["Python 3.11 or newer"]["ok"]
    assert all(finding["remedy"] for finding in findings.values())
    assert done.returncode == (0 if all(one["ok"] for one in findings.values()) else 1)
