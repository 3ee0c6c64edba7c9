"""Profiles: data that is validated, and the documented figures in it."""

import pytest

from connect_infra.errors import LoadError
from loadtests.actions import ACTIONS
from loadtests.profile import load_profile, names, parse

SOUND = """
description = "a test"
users = 10
[[steps]]
rate = 5
seconds = 10
"""


@pytest.mark.parametrize("name", names())
def test_every_profile_is_sound(name):
    profile = load_profile(name)
    assert set(profile.mix) <= set(ACTIONS)
    assert profile.objectives


def test_the_documented_figures():
    documented = load_profile("documented")
    assert documented.users == 10_000
    assert documented.steps[0].rate * 3600 == pytest.approx(50_000, rel=0.001)
    assert documented.duration >= 600
    connected = load_profile("connected")
    assert connected.users / connected.steps[0].rate < 65
    assert load_profile("peak").steps[0].rate == pytest.approx(10 * documented.steps[0].rate, 0.001)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("users = 3", "description"),
        (SOUND + "\nsurprise = 1", "steps.0.surprise"),
        (SOUND + '\n[[objectives]]\nmeasure = "beauty"\nat_most = 1', "expected one of error_rate"),
        (SOUND + '\n[[objectives]]\nmeasure = "p95"', "either at_most or at_least"),
        (SOUND + "\n[mix]\nhome = 0", "weights above 0"),
        (SOUND + "\n[mix]\nteleport = 1", "mix.teleport"),
        ("warmup = 10\n" + SOUND, "less than the run's 10 s"),
        ("not toml", "Expected"),
    ],
)
def test_wrong_data_is_refused_with_its_place(text, says):
    with pytest.raises(LoadError) as refused:
        parse("wrong", text)
    assert says in str(refused.value)
    assert "loadtests/profiles/wrong.toml" in str(refused.value)


def test_a_profile_of_another_name_is_refused_with_the_choices():
    with pytest.raises(LoadError, match="capacity, connected"):
        load_profile("everything")


def test_an_objective_of_the_profile_takes_the_common_ones_place():
    own = SOUND + '\n[[objectives]]\nmeasure = "p95"\nat_most = 3.0'
    limits = {one.measure: one.limit for one in parse("own", own).objectives}
    assert limits["p95"] == 3.0
    assert limits["error_rate"] == 0.0


def test_a_shorter_run_keeps_its_rates():
    short = load_profile("documented").for_seconds(60)
    assert short.duration == pytest.approx(60)
    assert short.steps[0].rate == load_profile("documented").steps[0].rate
