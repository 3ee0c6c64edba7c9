"""A plan is a pure function of what is wanted and what a host shows: its cases as data."""

import dataclasses
import hashlib
import io
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from connect_infra.errors import ObservationError, PlanError
from provisioning.component import Activation, Component, ordered
from provisioning.plan import Observed, Plan, compare, diff, observed_from
from provisioning.resources import (
    Directory,
    Ensure,
    File,
    Group,
    Package,
    Symlink,
    Sysctl,
    Unit,
    User,
)

CONTENT = b"port 6379\n"
FILE = File("/etc/x.conf", CONTENT, 0o640, "redis", "redis")
SECRET = File("/etc/secret", b"hunter2\n", 0o600, secret=True)
GOOD_FILE = {
    "type": "file",
    "mode": 0o640,
    "owner": "redis",
    "group": "redis",
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "text": "port 6379\n",
}
GOOD_UNIT = {"load": "loaded", "active": "active", "start": "enabled", "stale": "no"}
GOOD_USER = {"exists": True, "group": "connect", "home": "/home/connect", "shell": "/bin/bash"}
USER = User("connect", "connect", "/home/connect", "/bin/bash")
DIRECTORY = Directory("/opt/x", 0o750, "connect", "connect")
GOOD_DIRECTORY = {"type": "directory", "mode": 0o750, "owner": "connect", "group": "connect"}
MASKED = Unit("redis-server.service", enabled=False, running=False, masked=True)

CASES = [
    (Package("jq"), {"version": "1.6"}, None),
    (Package("jq"), {"version": None}, ("install", "not installed")),
    (Group("connect"), {"exists": True}, None),
    (Group("connect"), {"exists": False}, ("create", "no such group")),
    (USER, GOOD_USER, None),
    (USER, {"exists": False}, ("create", "no such user")),
    (USER, GOOD_USER | {"shell": "/bin/sh"}, ("change", "shell /bin/sh to /bin/bash")),
    (DIRECTORY, GOOD_DIRECTORY, None),
    (DIRECTORY, {"type": "absent"}, ("create", "connect:connect 0750")),
    (DIRECTORY, {"type": "symlink", "target": "/"}, ("change", "a symlink is in its place")),
    (DIRECTORY, GOOD_DIRECTORY | {"mode": 0o777}, ("change", "mode 0777 to 0750")),
    (FILE, GOOD_FILE, None),
    (FILE, {"type": "absent"}, ("create", "redis:redis 0640")),
    (FILE, GOOD_FILE | {"owner": "root"}, ("change", "owner root to redis")),
    (FILE, GOOD_FILE | {"sha256": "0", "text": "port 1\n"}, ("change", "content differs")),
    (
        FILE,
        GOOD_FILE | {"sha256": "0", "mode": 0o644},
        ("change", "content differs, mode 0644 to 0640"),
    ),
    (Symlink("/a", "b"), {"type": "symlink", "target": "b"}, None),
    (Symlink("/a", "b"), {"type": "symlink", "target": "c"}, ("change", "-> c to -> b")),
    (Unit("x.service"), GOOD_UNIT, None),
    (Unit("x.service"), GOOD_UNIT | {"start": "enabled-runtime"}, None),
    (
        Unit("x.service"),
        GOOD_UNIT | {"active": "failed"},
        ("set", "failed to be running"),
    ),
    (
        Unit("x.service"),
        GOOD_UNIT | {"start": "disabled"},
        ("set", "disabled to be enabled at boot"),
    ),
    (
        Unit("x.service"),
        GOOD_UNIT | {"stale": "yes"},
        ("set", "changed on disk, not read again by systemd"),
    ),
    (MASKED, GOOD_UNIT, ("mask", "loaded, active")),
    (MASKED, GOOD_UNIT | {"load": "masked", "active": "inactive", "start": "masked"}, None),
    (MASKED, GOOD_UNIT | {"load": "masked"}, ("mask", "masked, active")),
    (Sysctl("vm.x", "1"), {"value": "1", "writable": True}, None),
    (Sysctl("vm.x", "1"), {"value": "0", "writable": True}, ("set", "0 to 1")),
    (Sysctl("vm.x", "1"), {"value": "0", "writable": False}, None),
    (Ensure("e", "true", "true"), {"holds": True, "said": ""}, None),
    (Ensure("e", "true", "true"), {"holds": False, "said": "a\nno role"}, ("run", "no role")),
]


@pytest.mark.parametrize(("resource", "state", "expected"), CASES)
def test_one_resource_against_its_state(resource, state, expected):
    found = compare(resource, state)
    assert (found[:2] if found else None) == expected


def service(**changes):
    activation = Activation("x.service", reload_ok=True, restart_on=frozenset({"/etc/boot"}))
    resources = (FILE, File("/etc/boot", b"", 0o644), Unit("x.service"))
    return Component("x", resources, activation=activation, **changes)


def states(**changed):
    empty = GOOD_FILE | {"sha256": hashlib.sha256(b"").hexdigest(), "mode": 0o644}
    empty |= {"owner": "root", "group": "root", "text": ""}
    return {
        FILE.id: GOOD_FILE | changed.get("file", {}),
        "file /etc/boot": empty | changed.get("boot", {}),
        "unit x.service": GOOD_UNIT | changed.get("unit", {}),
    }


def test_a_host_that_is_as_wanted_has_an_empty_plan():
    plan = diff([service()], Observed(states(), {}))
    assert not plan
    assert plan.effects == {}


def test_a_changed_file_asks_for_a_reload_where_that_is_enough():
    plan = diff([service()], Observed(states(file={"sha256": "0"}), {}))
    assert (plan.effects["x"].action, plan.effects["x"].paths) == ("reload", ("/etc/x.conf",))


def test_a_file_that_a_reload_does_not_read_asks_for_a_restart():
    plan = diff([service()], Observed(states(boot={"sha256": "0"}), {}))
    assert plan.effects["x"].action == "restart"


def test_a_stopped_unit_alone_asks_for_no_activation():
    plan = diff([service()], Observed(states(unit={"active": "inactive"}), {}))
    assert [change.resource for change in plan.changes] == ["unit x.service"]
    assert plan.effects == {}


def test_an_unfinished_apply_is_finished_even_when_all_files_are_right():
    note = {"paths": ["/etc/boot"], "action": "restart"}
    plan = diff([service()], Observed(states(), {"x": note}))
    assert [change.resource for change in plan.changes] == ["activate x"]
    assert plan.effects["x"].action == "restart"
    assert plan.effects["x"].paths == ("/etc/boot",)


def test_the_diff_of_a_file_shows_both_sides():
    plan = diff([service()], Observed(states(file={"sha256": "0", "text": "port 1\n"}), {}))
    assert "-port 1\n+port 6379" in plan.changes[0].detail


def shown(plan, tmp_path):
    console = Console(file=io.StringIO(), width=200)
    console.print(plan.render(diff=True))
    plan.save(tmp_path / "plan.json")
    return console.file.getvalue() + (tmp_path / "plan.json").read_text() + repr(plan)


def test_the_content_of_a_secret_file_is_in_no_form_of_a_plan(tmp_path):
    state = GOOD_FILE | {"sha256": "0", "text": "old-password"}
    component = Component("s", (SECRET,))
    for before in (state, {"type": "absent"}):
        text = shown(diff([component], Observed({SECRET.id: before}, {})), tmp_path)
        assert "/etc/secret" in text
        assert "hunter2" not in text
        assert "old-password" not in text
    assert "hunter2" not in repr(component)


def test_no_secret_of_the_target_is_in_any_form_of_a_plan(components, secrets, tmp_path):
    plan = diff(components, Observed(nothing_there(components), {}))
    text = shown(plan, tmp_path) + repr(components)
    assert len(plan.changes) > 60
    assert [name for name, value in secrets.items() if value in text] == []


def nothing_there(components):
    by_kind = {
        "package": {"version": None},
        "group": {"exists": False},
        "user": {"exists": False},
        "directory": {"type": "absent"},
        "file": {"type": "absent"},
        "symlink": {"type": "absent"},
        "unit": {"load": "not-found", "active": "inactive", "start": "", "stale": "no"},
        "sysctl": {"value": "0", "writable": True},
        "ensure": {"holds": False, "said": "not found"},
    }
    resources = [resource for component in components for resource in component.resources]
    return {resource.id: by_kind[resource.encode()["kind"]] for resource in resources}


def test_what_two_components_need_is_changed_once(components):
    plan = diff(components, Observed(nothing_there(components), {}))
    ids = [change.resource for change in plan.changes]
    assert len(ids) == len(set(ids))


def test_a_saved_plan_comes_back_whole(components, tmp_path):
    plan = diff(components, Observed(nothing_there(components), {}))
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"changes": [1]}', "\x00"])
def test_a_file_that_is_no_plan_is_refused(text, tmp_path):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(PlanError, match="make the plan again"):
        Plan.load(tmp_path / "plan.json")


def test_a_plan_of_other_facts_is_refused():
    plan = diff([service()], Observed(states(file={"sha256": "0"}), {}))
    fresh = diff([service()], Observed(states(file={"sha256": "1"}), {}))
    with pytest.raises(PlanError, match="the host has changed since"):
        plan.require_same_as(fresh)


def test_a_plan_of_other_wishes_is_refused():
    observed = Observed(states(), {})
    with pytest.raises(PlanError, match="what is wanted has changed since"):
        diff([service()], observed).require_same_as(diff([service(verify="true")], observed))


HASH_OF_WISHES = """
import json, sys
import provisioning
from connect_infra.targets import Target
from provisioning.plan import desired_hash
print(desired_hash(provisioning.wanted(Target(**json.loads(sys.argv[1])))))
"""


def test_the_same_wishes_have_the_same_hash_in_every_process(target):
    found = {
        subprocess.run(
            [sys.executable, "-c", HASH_OF_WISHES, target.model_dump_json()],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


def test_what_a_check_says_is_no_fact():
    said = Observed({"ensure e": {"holds": False, "said": "at 10:01"}}, {})
    other = Observed({"ensure e": {"holds": False, "said": "at 10:02"}}, {})
    assert said.digest() == other.digest()


@given(
    st.sampled_from(["mode", "owner", "group", "sha256", "type", "text"]),
    st.one_of(st.integers(), st.text()),
)
def test_any_changed_fact_changes_the_digest(key, value):
    before, after = Observed(states(), {}), Observed(states(file={key: value}), {})
    assert (before.digest() == after.digest()) == (GOOD_FILE[key] == value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values)
def test_an_answer_that_is_not_one_is_an_observation_error(answer):
    with pytest.raises(ObservationError):
        diff([service()], observed_from(answer, "host"))


def test_a_state_that_is_missing_is_an_observation_error():
    with pytest.raises(ObservationError, match=r"a state of file /etc/x\.conf"):
        diff([service()], Observed({"unit x.service": GOOD_UNIT}, {}))


def test_a_kernel_setting_that_the_host_withholds_is_a_note():
    component = Component("host", (Sysctl("vm.x", "1"),))
    plan = diff([component], Observed({"sysctl vm.x": {"value": "0", "writable": False}}, {}))
    assert not plan
    assert "does not let it be set" in plan.notes[0]


def test_a_component_before_what_it_needs_is_refused():
    late = Component("late", (), after=("early",))
    with pytest.raises(PlanError, match="early out of order"):
        ordered([late, Component("early", ())])


def test_plans_are_json(components):
    plan = diff(components, Observed(nothing_there(components), {}))
    assert json.loads(json.dumps([dataclasses.asdict(change) for change in plan.changes]))
