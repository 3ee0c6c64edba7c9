"""Recorded output of systemctl show, read as facts."""

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import units
from connect_infra.facts.base import Output


def test_a_running_service(recorded):
    unit = units.parse(recorded("units"))["redis-cache.service"]
    assert unit.runs
    assert unit.starts_at_boot
    assert unit.type == "notify"
    assert unit.state == "active (running), enabled"


def test_the_start_is_in_seconds_of_the_epoch():
    texts = {"MainPID": "7", "NRestarts": "0", "ExecMainStartTimestampMonotonic": "2000000"}
    show = "\n".join(f"{name}={texts.get(name, '')}" for name in units.PROPERTIES)
    facts = units.parse({"show": Output(0, show, ""), "clock": Output(0, "1000.5\n100.5\n", "")})
    assert facts[""].started == 902.0


def test_a_unit_that_does_not_exist_has_no_state(recorded):
    unit = units.parse(recorded("units"))["nginx.service"]
    assert unit.state == "no such unit"
    assert not unit.runs
    assert unit.started is None


def test_a_unit_that_was_not_asked_for_is_an_error(recorded):
    with pytest.raises(ObservationError, match=r"mysql\.service"):
        units.parse(recorded("units"))["mysql.service"]
