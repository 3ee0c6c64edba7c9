"""The arrival model: pure, and open loop by construction."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.arrivals import Step, connections, due, duration, place, planned, step_at, visits

STEPS = st.lists(
    st.builds(Step, rate=st.floats(0.5, 50), seconds=st.floats(0.5, 60)), min_size=1, max_size=4
)
SPACING = st.sampled_from(["even", "random"])


@settings(max_examples=60)
@given(users=st.integers(1, 40), steps=STEPS, spacing=SPACING, seed=st.integers(0, 9))
def test_all_users_together_make_the_planned_requests(users, steps, spacing, seed):
    total = sum(len(list(visits(user, users, steps, spacing, seed))) for user in range(users))
    assert abs(total - planned(steps)) <= (1 if spacing == "even" else users)


@settings(max_examples=60)
@given(users=st.integers(1, 40), steps=STEPS, spacing=SPACING)
def test_a_users_visits_are_in_order_and_within_the_run(users, steps, spacing):
    moments = list(visits(0, users, steps, spacing, 1))
    assert moments == sorted(moments)
    assert all(0 <= moment < duration(steps) for moment in moments)


@given(users=st.integers(1, 100), rate=st.floats(0.5, 50))
def test_a_user_returns_after_users_by_rate_seconds(users, rate):
    steps = [Step(rate, 3.5 * users / rate)]
    moments = list(visits(0, users, steps, "random", 7))
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    assert gaps == pytest.approx([users / rate] * len(gaps))


@given(user=st.integers(0, 999), seed=st.integers(0, 99))
def test_a_place_is_the_same_in_every_process(user, seed):
    assert place(user, 1000, "random", seed) == place(user, 1000, "random", seed)
    assert 0 <= place(user, 1000, "random", seed) < 1000


def test_first_requests_are_spread_over_the_interval():
    """Else the ramp is the peak: 10,000 users in the first second instead of in 720 of them."""
    steps = [Step(10000 / 720, 720)]
    firsts = [next(visits(user, 10000, steps, "random", 1)) for user in range(10000)]
    assert max(sum(start <= one < start + 10 for one in firsts) for start in range(710)) < 200


def test_a_step_up_brings_the_next_request_forward():
    steps = [Step(1, 10), Step(10, 10)]
    assert due(9.5, steps) == 9.5
    assert due(15, steps) == 10.5
    assert due(110, steps) is None
    assert [step_at(second, steps) for second in (0, 9.9, 10, 19.9, 20)] == [0, 0, 1, 1, None]


def test_connections_are_kept_only_by_users_who_return_in_time():
    assert connections(10000, [Step(10000 / 30, 120)], keep_alive=65) == 10000
    assert connections(10000, [Step(10000 / 720, 720)], keep_alive=65) == pytest.approx(10000)
    assert connections(100, [Step(1, 300)], keep_alive=65) == 300
