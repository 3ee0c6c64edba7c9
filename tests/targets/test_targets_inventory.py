"""The inventory: what it accepts, and one clear line for everything that it doesn't."""

import os
from pathlib import Path

import pytest

from connect_infra.document.values import GIB
from connect_infra.errors import InventoryError
from connect_infra.targets import Guards, Target, load_inventory
from connect_infra.targets.lab import state_dir, target_file, write_targets

EXAMPLE = Path(__file__).parents[2] / "connect-infra.example.toml"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONNECT_INFRA_STATE", str(tmp_path / "state"))


def inventory(tmp_path, body, name="staging"):
    file = tmp_path / "connect-infra.toml"
    file.write_text(f"[targets.{name}]\n{body}\n", encoding="utf-8")
    return file


def test_a_target_is_read_with_safe_defaults(tmp_path):
    target = load_inventory(inventory(tmp_path, 'host = "h"')).target("staging")
    assert target == Target(
        name="staging",
        topology="native",
        way="ssh",
        host="h",
        port=22,
        user="connect",
        sizing="documented",
        production=False,
        lab=False,
        guards=Guards(intrusive=False, load=False, drills=False),
    )


def test_paths_are_beside_the_inventory_and_the_home_is_expanded(tmp_path, monkeypatch):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "id").touch()
    (tmp_path / "hosts").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    file = inventory(tmp_path, 'host = "h"\nkey = "keys/id"\nknown_hosts = "~/hosts"')
    monkeypatch.chdir("/")
    target = load_inventory(file).target("staging")
    assert (target.key, target.known_hosts) == (tmp_path / "keys/id", tmp_path / "hosts")


def test_memory_is_a_number_of_bytes(tmp_path):
    file = inventory(tmp_path, 'host = "h"\nsizing = "scaled"\nmemory = "8GiB"')
    assert load_inventory(file).target("staging").memory == 8 * GIB


def test_the_default_file_is_the_one_in_the_current_directory(tmp_path):
    inventory(tmp_path, 'host = "h"')
    assert load_inventory().target("staging").host == "h"


def test_without_an_inventory_there_is_the_lab_only():
    with pytest.raises(InventoryError, match=r"expected one of lab, found the target 'staging'"):
        load_inventory().target("staging")


def test_the_example_is_valid_and_lists_every_key():
    targets = load_inventory(EXAMPLE).targets
    assert set(targets) == {"staging", "production"}
    assert targets["production"].production
    assert targets["production"].guards == Guards()
    text = EXAMPLE.read_text(encoding="utf-8")
    keys = set(Target.model_fields) - {"name", "lab", "port"}
    assert [key for key in keys if f"{key} = " not in text and f".{key}]" not in text] == []


def test_the_manual_explains_every_key():
    manual = (EXAMPLE.parent / "docs" / "targets.md").read_text(encoding="utf-8")
    keys = (set(Target.model_fields) - {"name", "lab"}) | set(Guards.model_fields)
    assert [key for key in sorted(keys) if f"`{key}`" not in manual] == []


def test_a_target_in_use_needs_its_files_and_its_neighbours_do_not(tmp_path):
    file = inventory(tmp_path, 'host = "h"\nkey = "missing"\n[targets.other]\nhost = "h"')
    assert load_inventory(file).target("other").name == "other"
    with pytest.raises(InventoryError, match=r"staging, key: expected a file at .*/missing"):
        load_inventory(file).target("staging")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('host = "h"\nmemory = "lots"', "staging, memory: expected a size such as 64MB"),
        ('host = "h"\nmemory = 0', "staging, memory: expected greater than 0, found 0"),
        ('host = "h"\nsizing = "scaled"', 'expected a `memory` such as "8GiB"'),
        ('host = "h"\nsizing = "huge"', "staging, sizing: expected 'documented' or 'scaled'"),
        ('way = "ssh"', 'expected a `host` for way = "ssh", found none'),
        ('way = "telnet"\nhost = "h"', "way: expected 'ssh', 'docker' or 'local', found 'telnet'"),
        ('host = "h"\ncolour = "red"', "expected known keys only, found the key `colour`"),
        ('host = "h"\nguards = {all = true}', "found the key `guards.all`"),
        ('host = "h"\nguards = {load = "yes"}', "guards.load: expected a valid boolean"),
        ('host = "h"\nport = 99999', "staging, port: expected less than or equal to 65535"),
        ('host = "h"\nlab = true', "expected no entry for the lab"),
        ('host = "h"\nname = "x"', "takes its name from its heading, found a `name`"),
        ("host = ", "connect-infra.toml: expected a readable TOML file"),
        ('host = "h"\n[other]\na = 1', "expected [targets.<name>] tables and nothing else"),
    ],
)
def test_a_mistake_is_one_line_that_names_its_place(tmp_path, body, message):
    with pytest.raises(InventoryError) as refused:
        load_inventory(inventory(tmp_path, body)).target("staging")
    assert message in str(refused.value)
    assert str(tmp_path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["lab", "lab-2"])
def test_the_labs_names_are_its_own(tmp_path, name):
    with pytest.raises(InventoryError, match="built in"):
        load_inventory(inventory(tmp_path, 'host = "h"', name))


@pytest.mark.parametrize(("content", "found"), [(b"\xff\xfe", "codec"), (None, "No such file")])
def test_an_inventory_that_is_asked_for_must_be_readable(tmp_path, content, found):
    file = tmp_path / "mine.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InventoryError, match=f"mine.toml: .*{found}"):
        load_inventory(file)


def lab_target(tmp_path, name="lab"):
    return Target(
        name=name,
        host="172.18.0.2",
        key=tmp_path / "id",
        sizing="scaled",
        memory=8 * GIB,
        lab=True,
        guards=Guards(intrusive=True, load=True, drills=True),
    )


def test_the_labs_hosts_survive_the_round_trip(tmp_path):
    (tmp_path / "id").touch()
    state_dir().mkdir()
    targets = [lab_target(tmp_path), lab_target(tmp_path, "lab-2")]
    write_targets(targets)
    assert [load_inventory().target(each.name) for each in targets] == targets
    assert [path.name for path in state_dir().iterdir()] == [target_file().name]


def test_a_lab_that_is_not_up_says_how_to_start_it():
    with pytest.raises(InventoryError, match="not up; run connect-infra lab up"):
        load_inventory().target("lab")


def test_a_lab_host_that_is_not_there_is_refused(tmp_path):
    (tmp_path / "id").touch()
    state_dir().mkdir()
    write_targets([lab_target(tmp_path)])
    with pytest.raises(InventoryError, match="expected a lab host named 'lab-9', found lab;"):
        load_inventory().target("lab-9")


def test_the_labs_state_is_below_the_current_directory_unless_told(monkeypatch):
    assert state_dir() == Path(os.environ["CONNECT_INFRA_STATE"])
    monkeypatch.delenv("CONNECT_INFRA_STATE")
    assert state_dir() == Path(".lab")
