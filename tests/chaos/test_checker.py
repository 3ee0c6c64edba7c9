"""The checker against a brute-force model, and against cases that a person can follow."""

from hypothesis import given
from hypothesis import strategies as st

from chaos.checker import check
from chaos.history import Operation

ELEMENTS = st.integers(1, 12)
OUTCOMES = st.sampled_from(["ok", "fail", "info"])


@st.composite
def histories(draw):
    elements = draw(st.lists(ELEMENTS, unique=True))
    return [
        Operation(element, float(i), outcome, None if outcome == "info" else i + 0.5)
        for i, element in enumerate(sorted(elements))
        for outcome in [draw(OUTCOMES)]
    ]


@given(histories(), st.lists(ELEMENTS))
def test_findings_are_those_of_a_model_that_looks_at_every_element(history, read):
    found = check(history, read)
    for element in range(1, 13):
        outcome = next((one.outcome for one in history if one.element == element), None)
        times = read.count(element)
        assert (element in found.lost) == (outcome == "ok" and times == 0)
        assert (element in found.unexpected) == (outcome is None and times > 0)
        assert (element in found.recovered) == (outcome == "info" and times > 0)
        assert (element in found.phantom) == (outcome == "fail" and times > 0)
        assert (element in found.duplicated) == (times > 1)
    assert found.attempted == len(history)
    assert found.acknowledged + found.refused + found.unknown == found.attempted
    assert found.read == len(set(read))
    assert found.impossible == bool(found.unexpected or found.phantom)


@given(histories(), st.lists(ELEMENTS), st.lists(st.floats(0, 20), max_size=3))
def test_rpo_reaches_from_a_fault_back_to_the_first_acknowledgement_it_took(history, read, faults):
    found = check(history, read)
    lost = [one.completed for one in history if one.outcome == "ok" and one.element not in read]
    expected = 0.0
    for at in lost:
        after = [fault for fault in faults if fault >= at]
        expected = max(expected, min(after) - at if after else 0.0)
    assert found.rpo_seconds(faults) == expected


def test_three_writes_of_which_one_is_lost():
    history = [Operation(1, 0, "ok", 1.0), Operation(2, 1, "ok", 2.0), Operation(3, 2, "info")]
    found = check(history, [1, 3])
    assert (found.lost, found.recovered, found.rpo_seconds([5.0])) == ((2,), (3,), 3.0)
