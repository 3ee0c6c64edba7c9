"""Verdicts: met, missed, or nothing said; a generator that could not keep up is no slow site."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.profile import Objective
from loadtests.result import GeneratorResult
from loadtests.verdict import conclude, judge, shortcomings

P95 = Objective(measure="p95", at_most=1.0)
ESTABLISHED = Objective(measure="established", at_least=10_000)


def made(**changes) -> GeneratorResult:
    sound = {
        "processes": 1,
        "users": 100,
        "requests_planned": 1000.0,
        "requests_sent": 1000,
        "requests_by_process": {"": 1000},
        "connections_expected": 100.0,
        "connections_opened": 100,
        "connections_most": 100,
        "closed_by_server": 0,
        "cpu_cores": 0.3,
        "cpu_cores_most": 0.4,
        "memory_bytes": 100,
        "late_p99": 0.002,
        "late_most": 0.01,
    }
    return GeneratorResult.model_validate(sound | changes)


@given(found=st.floats(0, 10))
def test_at_most_is_met_up_to_its_limit(found):
    (result,) = judge([P95], {"p95": found})
    assert result.verdict == ("met" if found <= 1.0 else "missed")


@given(found=st.integers(0, 20_000))
def test_at_least_is_met_from_its_limit_on(found):
    (result,) = judge([ESTABLISHED], {"established": found})
    assert result.verdict == ("met" if found >= 10_000 else "missed")


def test_what_was_not_observed_is_never_met():
    results = judge([P95], {"p95": None})
    assert results[0].verdict == "invalid"
    assert conclude(results, []) == ("invalid", ("not observed: p95",))


def test_a_run_that_asserted_nothing_is_invalid():
    assert conclude([], []) == ("invalid", ("nothing was asserted",))


def test_the_verdict_names_what_was_missed():
    results = judge([P95, ESTABLISHED], {"p95": 2.5, "established": 10_000})
    assert conclude(results, []) == ("missed", ("p95: expected at most 1 s, found 2.5 s",))


def test_invalid_weighs_more_than_missed():
    results = judge([P95], {"p95": 2.5})
    assert conclude(results, ["interrupted"])[0] == "invalid"


def test_met():
    assert conclude(judge([P95], {"p95": 0.1}), []) == ("met", ())


def test_a_generator_that_kept_up_owes_nothing():
    assert shortcomings(made(), users=100, server_is_slow=False) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"users": 99}, "only 99 of 100 users"),
        ({"requests_sent": 980}, "only 980 of 1000 planned requests"),
        ({"connections_opened": 150}, "150 connections were opened, expected about 100"),
        ({"connections_opened": 60}, "60 connections were opened"),
        ({"late_p99": 0.2}, "the generator was late: p99 200 ms"),
        ({"late_p99": None}, "no request was sent by an idle user"),
    ],
)
def test_what_a_generator_owes(changes, says):
    (reason,) = shortcomings(made(**changes), users=100, server_is_slow=False)
    assert says in reason


def test_a_slow_server_excuses_what_could_not_be_sent_but_not_a_late_generator():
    behind = made(requests_sent=500, connections_opened=400)
    assert shortcomings(behind, users=100, server_is_slow=True) == []
    assert shortcomings(made(late_p99=1.0), users=100, server_is_slow=True)
