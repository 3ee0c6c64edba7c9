"""Is this run worse than an earlier one, by more than chance and by enough to matter?

A run's windows after the warm-up are its sample. For p50, p95 and p99 the windows' values of both
runs are put in one order, and the Mann-Whitney U test says how likely so uneven an order is when
both come from the same distribution (one-sided, normal approximation with ties and continuity).
It needs no assumption about the shape of latencies, which are anything but normal.
"""

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median

from connect_infra.errors import LoadError
from loadtests.result import Change, Comparison, LoadRun

ALPHA = 0.01
"""How often equal runs may be told apart."""

RELATIVE, ABSOLUTE = 0.10, 0.005
"""What matters: a median of windows that is higher by a tenth, and by 5 ms."""

FEWEST = 5
"""Windows that a sample must have; with fewer the test can't reach ALPHA."""

RULE = (
    f"Regression: a percentile's windows are higher than the baseline's (Mann-Whitney U, "
    f"one-sided, p < {ALPHA:g}) and their median is higher by more than {RELATIVE:.0%} and "
    f"{ABSOLUTE * 1000:g} ms; or a higher rate of errors; or good answers fell by more than "
    f"{RELATIVE:.0%}."
)

QUANTILES = ("p50", "p95", "p99")


def compare(before: LoadRun, after: LoadRun) -> Comparison:
    """Hold a run against an earlier one; LoadError when that was another load or another site."""
    for name, old, new in (
        ("profile", before.profile.name, after.profile.name),
        ("target", before.target, after.target),
    ):
        if old != new:
            raise LoadError(
                expected=f"two runs of one {name}",
                found=f"{old} and {new}",
                where="load compare",
                remedy="choose others: connect-infra load list",
            )
    changes = [_percentile(name, before, after) for name in QUANTILES]
    changes += [_errors(before, after), _rate(before, after)]
    return Comparison(
        baseline=before.id,
        rule=RULE,
        changes=tuple(changes),
        regression=any(one.regression for one in changes),
    )


def mann_whitney(before: Sequence[float], after: Sequence[float]) -> float:
    """How likely `after` is at least this much higher than `before` by chance alone."""
    both = sorted([*before, *after])
    ranks = _ranks(both)
    n, m = len(before), len(after)
    u = sum(ranks[value] for value in after) - m * (m + 1) / 2
    ties = sum(count**3 - count for count in Counter(both).values())
    total = n + m
    spread = math.sqrt(n * m / 12 * (total + 1 - ties / (total * (total - 1))))
    if spread == 0:
        return 1.0
    z = (u - n * m / 2 - 0.5) / spread
    return 0.5 * math.erfc(z / math.sqrt(2))


def _ranks(ordered: Sequence[float]) -> dict[float, float]:
    """Each value's rank from 1, ties sharing their mean."""
    places: dict[float, list[int]] = {}
    for place, value in enumerate(ordered, 1):
        places.setdefault(value, []).append(place)
    return {value: sum(found) / len(found) for value, found in places.items()}


def _percentile(name: str, before: LoadRun, after: LoadRun) -> Change:
    samples = [_windows(run, name) for run in (before, after)]
    if min(len(one) for one in samples) < FEWEST:
        return _change(name, None, None, why=f"fewer than {FEWEST} windows: can't be told")
    old, new = median(samples[0]), median(samples[1])
    p_value = mann_whitney(*samples)
    matters = new - old > max(ABSOLUTE, RELATIVE * old)
    regression = p_value < ALPHA and matters
    why = "by chance" if p_value >= ALPHA else "too little to matter" if not matters else "worse"
    return _change(name, old, new, p_value=p_value, regression=regression, why=why)


def _windows(run: LoadRun, name: str) -> list[float]:
    values = [getattr(one, name) for one in run.windows if one.at >= run.profile.warmup]
    return [value for value in values if value is not None]


def _errors(before: LoadRun, after: LoadRun) -> Change:
    old, new = (run.errors / run.requests if run.requests else 0.0 for run in (before, after))
    worse = new > old
    why = "worse" if worse else "no more errors"
    return _change("error_rate", old, new, regression=worse, why=why)


def _rate(before: LoadRun, after: LoadRun) -> Change:
    old, new = (run.latency.count / run.seconds if run.seconds else 0.0 for run in (before, after))
    worse = new < old * (1 - RELATIVE)
    why = "worse" if worse else "no fewer good answers"
    return _change("rate", old, new, regression=worse, why=why)


def _change(
    name: str,
    old: float | None,
    new: float | None,
    *,
    p_value: float | None = None,
    regression: bool = False,
    why: str,
) -> Change:
    relative = (new - old) / old if old and new is not None else None
    return Change(
        measure=name,
        before=old,
        after=new,
        change=relative,
        p_value=p_value,
        regression=regression,
        why=why,
    )
