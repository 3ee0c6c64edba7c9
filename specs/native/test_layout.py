"""Architecture v2.0, 2.2: the directories and files below /opt/connect."""

import re

import pytest

KEPT = 5
RELEASE = re.compile(r"(?:/opt/connect/)?releases/\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d/?")
OWNERS = {"connect", "root", "postgres"}
SECRET = {"shared/config/.env.production", "shared/ssl"}
OTHERS_READ = 0o004
OTHERS_WRITE = 0o002


def path_of(control):
    return control.id.removeprefix("layout.")


def is_directory(control):
    return control.documented.split(" ")[0].endswith("/")


def is_file(control):
    return not is_directory(control) and path_of(control) != "current"


@pytest.mark.controls(component="layout", where=is_directory)
def test_the_directory_is_there(control, facts, found):
    entry = facts.layout.entries.get(path_of(control))
    found(facts.layout.shown(path_of(control)))
    assert entry is not None, f"{path_of(control)} is missing"
    assert entry.leads_to == "d", "it is no directory"


@pytest.mark.controls(component="layout", where=is_file)
def test_the_file_is_there(control, facts, found):
    entry = facts.layout.entries.get(path_of(control))
    found(facts.layout.shown(path_of(control)))
    assert entry is not None, f"{path_of(control)} is missing"
    assert entry.leads_to == "f", "it is no file, or a link that leads nowhere"


@pytest.mark.controls(component="layout")
def test_only_the_system_may_change_it(control, facts, found):
    entry = facts.layout.entries.get(path_of(control))
    found(facts.layout.shown(path_of(control)))
    assert entry is not None, f"{path_of(control)} is missing"
    assert entry.owner in OWNERS, f"it belongs to {entry.owner}"
    assert entry.type == "l" or not entry.mode & OTHERS_WRITE, "everybody may write it"


@pytest.mark.controls(component="layout", where=lambda one: path_of(one) in SECRET)
def test_others_do_not_read_it(control, facts, found):
    entry = facts.layout.entries.get(path_of(control))
    found(facts.layout.shown(path_of(control)))
    assert entry is not None, f"{path_of(control)} is missing"
    assert not entry.mode & OTHERS_READ, "everybody may read it"


@pytest.mark.controls(component="layout", where=lambda one: one.id.startswith("layout.scripts/"))
def test_the_script_can_be_run(control, facts, found):
    entry = facts.layout.entries.get(path_of(control))
    found(facts.layout.shown(path_of(control)))
    assert entry is not None, f"{path_of(control)} is missing"
    assert entry.mode & 0o100, "its owner may not execute it"


@pytest.mark.controls("layout.current")
def test_current_leads_to_a_release(control, facts, found):
    entry = facts.layout.entries.get("current")
    found(facts.layout.shown("current"))
    assert entry is not None, "current is missing"
    assert (entry.type, entry.leads_to) == ("l", "d"), "current is no link to a directory"
    assert RELEASE.fullmatch(entry.link), "current does not lead to releases/<timestamp>"


@pytest.mark.controls("layout.releases")
def test_no_more_releases_are_kept_than_documented(control, facts, found):
    releases = [entry for entry in facts.layout.below("releases") if entry.type == "d"]
    assert found(len(releases)) <= KEPT
