"""Recording and merging: nothing is lost, nothing counts twice, sums have the percentiles."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.recorder import Merged, Recorder, window_seconds

REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 2),  # the process that made it
        st.floats(0, 60),  # due
        st.sampled_from(["home", "search"]),
        st.floats(0.0001, 50),
        st.sampled_from(["", "", "", "status 500"]),
    ),
    max_size=120,
)
QUANTILES = (50, 95, 99, 99.9, 99.99)


@settings(max_examples=25, deadline=None)
@given(requests=REQUESTS)
def test_merged_over_processes_equals_the_sum(requests):
    alone, shared = Recorder(5), [Recorder(5), Recorder(5), Recorder(5)]
    for process, *request in requests:
        alone.record(*request)
        shared[process].record(*request)
    rows = [row | {"worker": str(i)} for i, one in enumerate(shared) for row in one.take()]
    merged = Merged(json.loads(json.dumps(rows)), window_seconds=5)
    whole = Merged(alone.take(), window_seconds=5)
    assert merged.total().latency.counts[:] == whole.total().latency.counts[:]
    assert merged.total().errors == whole.total().errors
    assert merged.total().requests == len(requests) == sum(merged.by_worker.values())
    both = [one.total().latency.get_percentile_to_value_dict(QUANTILES) for one in (merged, whole)]
    assert both[0] == both[1]


@settings(max_examples=25, deadline=None)
@given(latencies=st.lists(st.floats(0.001, 50), min_size=1, max_size=200))
def test_percentiles_are_right_to_three_digits(latencies):
    recorder = Recorder(5)
    for one in latencies:
        recorder.record(0, "home", one)
    found = Merged(recorder.take(), window_seconds=5).total().latency
    exact = sorted(latencies)
    for quantile, value in found.get_percentile_to_value_dict(QUANTILES).items():
        rank = max(1, int(len(exact) * quantile / 100 + 0.5))
        assert value / 1e6 == pytest.approx(exact[rank - 1], rel=0.002)


def test_what_was_taken_is_gone_and_late_ends_join_their_window():
    recorder = Recorder(5)
    recorder.record(1, "home", 0.5)
    first = recorder.take()
    recorder.record(2, "home", 20.0)  # due in the same window, ended long after
    second = recorder.take()
    merged = Merged([*first, *second], window_seconds=5)
    assert {window: cell.requests for window, cell in merged.windows.items()} == {0: 2}
    assert recorder.ended == 2


def test_failed_requests_are_counted_and_not_timed():
    recorder = Recorder(5)
    recorder.record(0, "home", 0.001, "status 503")
    recorder.record(0, "home", 0.2)
    total = Merged(recorder.take(), window_seconds=5).total()
    assert total.latency.get_total_count() == 1
    assert total.errors == {"status 503": 1}
    assert total.requests == 2


def test_totals_of_a_span_and_of_what_follows_the_warm_up():
    recorder = Recorder(5)
    for due in (0, 4, 5, 9, 10, 14):
        recorder.record(due, "home" if due < 10 else "search", 0.1)
    merged = Merged(recorder.take(), window_seconds=5, warmup=4)
    assert merged.total().requests == 6
    assert merged.measured().requests == 4
    assert merged.between(5, 10).requests == 2
    assert {name: cell.requests for name, cell in merged.actions.items()} == {
        "home": 2,
        "search": 2,
    }


def test_long_runs_have_longer_windows():
    assert window_seconds(30) == 5
    assert window_seconds(1200) == 5
    assert window_seconds(28800) == 120


def test_a_minute_and_more_is_a_minute():
    recorder = Recorder(5)
    recorder.record(0, "home", 90)
    latency = Merged(recorder.take(), window_seconds=5).total().latency
    assert latency.get_max_value() == pytest.approx(60e6, rel=0.002)
