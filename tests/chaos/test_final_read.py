"""What was read back, and to which write it belongs."""

from hypothesis import given
from hypothesis import strategies as st

from chaos.alerts import parse
from chaos.checker import check
from chaos.final_read import _id, jobs_as_elements
from chaos.history import Operation


def job(element, outcome, note=""):
    return Operation(element, 0.0, outcome, None if outcome == "info" else 1.0, note)


def test_an_acknowledged_job_is_known_by_the_id_that_it_was_given():
    history = [job(1, "ok", "7-0"), job(2, "ok", "8-0")]
    found = check(history, jobs_as_elements(history, {"8-0"}))
    assert (found.lost, found.unexpected) == ((1,), ())


def test_a_job_of_unknown_fate_may_be_there_but_only_once():
    history = [job(1, "ok", "7-0"), job(2, "info"), job(3, "fail")]
    found = check(history, jobs_as_elements(history, {"7-0", "9-0"}))
    assert (found.recovered, found.unexpected, found.phantom) == ((2,), (), ())
    found = check(history, jobs_as_elements(history, {"7-0", "9-0", "9-1"}))
    assert len(found.unexpected) == 1


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 8))
def test_strangers_beyond_the_unknown_ones_are_unexpected(acknowledged, unknown, strangers):
    history = [job(n, "ok", f"{n}-0") for n in range(1, acknowledged + 1)]
    history += [job(100 + n, "info") for n in range(unknown)]
    ids = {one.note for one in history if one.note} | {f"50-{n}" for n in range(strangers)}
    found = check(history, jobs_as_elements(history, ids))
    assert len(found.recovered) == min(unknown, strangers)
    assert len(found.unexpected) == max(0, strangers - unknown)
    assert found.lost == ()


def test_a_job_that_was_put_aside_keeps_its_first_id():
    assert _id(["5-1", ["kind", "noop", "payload", "{}"]]) == "5-1"
    assert _id(["9-9", ["id", "5-1", "kind", "noop", "payload", "{}"]]) == "5-1"


def test_alerts_by_name():
    answer = '[{"labels": {"alertname": "DatabaseDown"}, "status": {"state": "active"}}]'
    assert parse(answer) == {"DatabaseDown"}
    assert parse("[]") == set()
