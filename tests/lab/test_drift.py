"""A sample of drifts on a live host, another one in each run: each is noticed by its own spec.

`make drift` tries them all. The seed is printed, and `connect-infra drift --sample N --seed SEED`
tries the same ones again. Three made-up drifts show that what nobody noticed is told.
"""

import random

import pytest

from connect_infra.drift import ways
from connect_infra.drift.run import run
from connect_infra.drift.ways import Change, Drift, Drifts, Way

SAMPLE = 8
"""As many as one lab host tries in a minute and a half, boot included."""

TIMEOUT = "redis-cache.timeout"


def made_up(name, make, landed):
    changes = {TIMEOUT: Change(value="55", shows="55")}
    way = Way(name=name, kind="running", make=make, landed=landed, alone=True, changes=changes)
    return Drift(TIMEOUT, "redis-cache", way, "55", "55")


MADE_UP = (
    made_up("refused", "exit 3", "true"),
    made_up("does not land", "true", "echo it is as before >&2; false"),
    made_up("not noticed", "true", "true"),
)


@pytest.fixture(scope="module")
def seed():
    drawn = random.SystemRandom().randrange(10**6)
    print(f"a sample of {SAMPLE} drifts, seed {drawn}")
    return drawn


@pytest.fixture(scope="module")
def report(lab, snapshot, seed):
    """One run of the sample and of the made-up drifts, on one host."""
    drawn = ways.load().sample(SAMPLE, seed).drifts
    drifts = Drifts((*drawn, *MADE_UP), {}, {})
    return run(lab, snapshot, drifts, hosts=1, progress=print, seed=seed)


def test_every_drift_of_the_sample_is_noticed(report, seed):
    ours = {one.name for one in MADE_UP}
    sample = [one for one in report.records if one.drift not in ours]
    assert len(sample) == SAMPLE
    assert [one for one in sample if one.verdict not in {"killed", "quiet"}] == [], f"seed {seed}"


def test_what_did_not_land_or_was_not_noticed_is_told(report):
    ours = {one.name for one in MADE_UP}
    verdicts = {one.drift: (one.verdict, one.message) for one in report.records}
    assert {name: verdicts[name] for name in ours} == {
        "refused": ("void", "not made: exit code 3"),
        "does not land": ("void", "not seen on the host: it is as before"),
        "not noticed": ("survived", "green"),
    }
    assert not report.ok


def test_its_hosts_are_gone(report, lab):
    assert [host.name for host in lab.hosts() if host.name.startswith("drift-")] == []
    assert report.replaced == 0
