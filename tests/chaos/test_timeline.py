"""Outages, downtime and recovery, from slots that a person can follow and from any slots."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chaos.timeline import Slot, downtime, outages, percentile, recovered_at, void_share

NAMES = {"o": "ok", "b": "bad", "v": "void"}


def slots(text, interval=1.0):
    return [Slot(i * interval, 0.1, NAMES[sign], "") for i, sign in enumerate(text)]


def test_an_outage_lasts_until_the_next_good_slot():
    (one,) = outages(slots("oobbboo"), 1.0)
    assert (one.begin, one.end, one.slots, one.seconds) == (2.0, 5.0, 3, 3.0)


def test_void_slots_neither_end_an_outage_nor_count_as_one():
    (one,) = outages(slots("obvvbo"), 1.0)
    assert (one.begin, one.end, one.slots) == (1.0, 5.0, 2)
    assert outages(slots("ovvo"), 1.0) == ()
    assert downtime(slots("obvvbo"), 1.0) == 2.0


def test_an_outage_at_the_end_is_an_outage():
    (one,) = outages(slots("oobb"), 0.5)
    assert one.end == 3.5


def test_recovery_is_the_first_slot_of_a_good_window():
    assert recovered_at(slots("oobbboooo"), 1.5, 3.0) == 5.0
    assert recovered_at(slots("oobbbooo"), 1.5, 3.0) is None


def test_a_relapse_moves_the_recovery_behind_it():
    assert recovered_at(slots("ooboooobooo"), 1.5, 2.0) == 8.0


def test_without_a_bad_slot_recovery_is_at_once_and_without_slots_there_is_none():
    assert recovered_at(slots("oooooo"), 1.5, 2.0) == 2.0
    assert recovered_at([], 0.0, 2.0) is None
    assert recovered_at(slots("vvvvvv"), 0.0, 2.0) is None


def test_percentiles_by_nearest_rank():
    values = [float(one) for one in range(1, 101)]
    assert [percentile(values, at) for at in (0, 50, 95, 100)] == [1, 50, 95, 100]
    assert percentile([], 50) is None


def test_the_void_share_of_nothing_is_all():
    assert void_share([]) == 1.0
    assert void_share(slots("ovvo")) == 0.5


@given(st.text("obv", max_size=60), st.integers(0, 20))
def test_recovery_is_followed_by_nothing_bad(text, fault):
    record = slots(text)
    found = recovered_at(record, float(fault), 3.0)
    if found is None:
        return
    assert found >= fault
    assert all(slot.state != "bad" for slot in record if slot.at >= found)
    assert record[int(found)].state == "ok"


@given(st.text("obv", max_size=60))
def test_outages_hold_every_bad_slot_once(text):
    record = slots(text)
    found = outages(record, 1.0)
    assert sum(one.slots for one in found) == text.count("b") == downtime(record, 1.0)
    assert all(a.end <= b.begin for a, b in pairwise(found))
