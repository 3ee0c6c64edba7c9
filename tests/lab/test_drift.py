"""A sample of drifts on a live host, another one in each run: each is noticed by its own spec.

`make drift` tries them all. The seed is printed, and `connect-infra drift --sample N --seed SEED`
tries the same ones again.
"""

import random

import pytest

from connect_infra.drift import ways
from connect_infra.drift.run import run
from connect_infra.drift.ways import Change, Drift, Drifts, Way

SAMPLE = 12
"""As many as two lab hosts try within two minutes, boot included."""


@pytest.fixture(scope="module")
def try_out(lab, snapshot):
    def tried(drifts, **more):
        return run(lab, snapshot, drifts, progress=print, hosts=1, **more)

    return tried


def test_a_sample_is_noticed(try_out):
    seed = random.SystemRandom().randrange(10**6)
    print(f"a sample of {SAMPLE} drifts, seed {seed}")
    quick = [drift for drift in ways.load().drifts if not drift.way.intrusive]
    everything = Drifts(tuple(quick), {}, {})
    report = try_out(everything.sample(SAMPLE, seed), seed=seed)
    wrong = [one for one in report.records if one.verdict not in {"killed", "quiet"}]
    assert wrong == [], f"seed {seed}"
    assert len(report.records) == SAMPLE


def test_what_did_not_land_or_was_not_noticed_is_told(try_out):
    def drift(name, make, landed):
        way = Way(
            name=name,
            kind="running",
            make=make,
            landed=landed,
            alone=True,
            changes={"redis-cache.timeout": Change(value="55", shows="55")},
        )
        return Drift("redis-cache.timeout", "redis-cache", way, "55", "55")

    report = try_out(
        Drifts(
            (
                drift("refused", "exit 3", "true"),
                drift("does not land", "true", "echo it is as before >&2; false"),
                drift("not noticed", "true", "true"),
            ),
            {},
            {},
        )
    )
    verdicts = {one.drift: (one.verdict, one.message) for one in report.records}
    assert verdicts == {
        "refused": ("void", "not made: exit code 3"),
        "does not land": ("void", "not seen on the host: it is as before"),
        "not noticed": ("survived", "green"),
    }
    assert not report.ok
    assert lab_hosts_are_gone(report)


def lab_hosts_are_gone(report):
    from connect_infra.lab import Lab

    return not [host for host in Lab().hosts() if host.name.startswith("drift-")]
