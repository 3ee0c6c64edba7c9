"""`connect-infra controls`: every control once, for people and for programs."""

import json
import subprocess
import sys

from connect_infra import document

FIELDS = [
    *("id", "topology", "document", "section", "documented", "expected", "component"),
    *("erratum", "specs"),
]

MAIN = "from connect_infra.cli import main; main()"


def controls(*arguments):
    command = [sys.executable, "-c", MAIN, "controls", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_json_lists_every_control_with_its_specs():
    listed = json.loads(controls("--json").stdout)
    both = {name: list(document.load(name).controls) for name in ("native", "containers")}
    assert [one["id"] for one in listed] == both["native"] + both["containers"]
    assert {name: [one["id"] for one in listed if one["topology"] == name] for name in both} == both
    assert list(listed[0]) == FIELDS
    by_id = {one["id"]: one for one in listed}
    work_mem = by_id["postgresql.work_mem"]
    assert (work_mem["documented"], work_mem["expected"]) == ("64MB", "64MB")
    spec = "specs/native/test_postgresql.py::test_the_server_runs_with[postgresql.work_mem]"
    assert spec in work_mem["specs"]
    assert by_id["postgresql.archive_command"]["erratum"] == "E01"


def test_a_target_has_its_own_expectations(tmp_path):
    inventory = tmp_path / "connect-infra.toml"
    inventory.write_text('[targets.small]\nway = "local"\nsizing = "scaled"\nmemory = "8GiB"\n')
    listed = json.loads(
        controls("--json", "--target", "small", "--inventory", str(inventory)).stdout
    )
    assert {one["topology"] for one in listed} == {"native"}
    (size,) = [one for one in listed if one["id"] == "postgresql.shared_buffers"]
    assert (size["documented"], size["expected"]) == ("24GB", "1536MB")


def test_people_get_a_table():
    done = controls()
    assert done.returncode == 0
    assert "nginx.site80[/.well-known" in done.stdout.replace("\n", "")


def test_an_unknown_target_is_one_line_and_exit_code_2():
    done = controls("--target", "nowhere")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
