"""No documented control goes without a spec, nor without one that only reads the target."""

import pytest

from connect_infra import document
from connect_infra.report.collection import collected

ASSERTED = {"setting", "fact", "behaviour", "derived"}
"""Objectives are for the load and the drills, procedures for tests of their own."""


@pytest.fixture(scope="module")
def specs():
    return collected()


def test_every_control_of_document_a_has_a_spec(specs):
    controls = document.load().controls.values()
    wanted = {one.id for one in controls if one.document == "A" and one.kind in ASSERTED}
    assert wanted - set(specs) == set()


def test_every_specs_name_holds_its_controls_id(specs):
    names = [(control, name) for control, tests in specs.items() for name in tests]
    assert [(control, name) for control, name in names if f"[{control}" not in name] == []


def test_every_control_has_a_spec_that_disturbs_nothing(specs):
    assert set(specs) - set(collected("-m", "not intrusive")) == set()
