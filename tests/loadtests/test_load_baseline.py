"""The rule for regressions: quiet between equal runs, loud where it matters."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.baseline import ALPHA, mann_whitney

SAMPLE = st.lists(st.floats(0.001, 10), min_size=5, max_size=30)


@given(before=SAMPLE, after=SAMPLE)
def test_it_is_a_probability_and_its_two_sides_make_one(before, after):
    worse, better = mann_whitney(before, after), mann_whitney(after, before)
    assert 0 <= worse <= 1
    assert worse + better >= 1 - 1e-9


@given(sample=SAMPLE)
def test_a_run_is_no_worse_than_itself(sample):
    assert mann_whitney(sample, sample) >= 0.5


def test_an_example_worked_by_hand():
    """Eight against eight, clearly apart: U = 64, z = 3.31 with continuity, p = 0.00047."""
    assert mann_whitney(range(1, 9), range(11, 19)) == pytest.approx(0.00047, rel=0.02)


def test_equal_runs_are_told_apart_about_as_rarely_as_stated():
    chance = random.Random(7)
    told = 0
    for _ in range(2000):
        samples = [[chance.lognormvariate(0, 0.4) for _ in range(20)] for _ in range(2)]
        told += mann_whitney(*samples) < ALPHA
    assert told / 2000 <= ALPHA * 1.6


def test_a_shift_by_a_third_is_found_in_twenty_windows():
    chance = random.Random(7)
    before = [chance.gauss(0.100, 0.015) for _ in range(20)]
    after = [chance.gauss(0.133, 0.020) for _ in range(20)]
    assert mann_whitney(before, after) < ALPHA
