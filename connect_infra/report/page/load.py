"""A load run as the page shows it: objectives, what the users felt, what the server was doing.

Reads the document that `connect-infra load run` keeps; fields that the page doesn't show are left
alone. Seconds count from the start of the load; latencies are in seconds.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from hdrh.histogram import HdrHistogram
from pydantic import BaseModel, ConfigDict, field_validator

from connect_infra.report.page.parts import Part, Verdict
from connect_infra.report.page.words import duration, moment, plural

RunVerdict = Literal["met", "missed", "invalid"]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True)


class Latency(_Data):
    """Percentiles of the good answers; None where there were none."""

    p50: float | None
    p95: float | None
    p99: float | None


class Objective(_Data):
    """One objective and what was measured."""

    measure: str
    meaning: str
    unit: str
    sense: str
    limit: float
    found: float | None
    verdict: RunVerdict
    source: str


class Action(_Data):
    """One thing that users do; shares are of 1."""

    name: str
    planned_share: float
    share: float
    requests: int
    errors: int
    latency: Latency


class Failure(_Data):
    """One kind of failed request, and when it was first due."""

    kind: str
    count: int
    first_at: float | None


class Window(_Data):
    """A part of the run."""

    at: float
    rate: float
    errors: int
    p50: float | None
    p95: float | None
    p99: float | None
    users: int | None
    connections: int | None


class Step(_Data):
    """One step of the profile; `broken` is empty when nothing broke."""

    rate: float
    seconds: float
    answered_rate: float
    errors: int
    p95: float | None
    p99: float | None
    broken: str
    limited_by: str


class Knee(_Data):
    """The highest rate that held."""

    rate: float
    broken_at: float | None
    broken: str
    limited_by: str


class Generator(_Data):
    """What made the load."""

    processes: int
    requests_planned: float
    requests_sent: int
    connections_opened: int
    connections_most: int
    cpu_cores: float | None
    memory_bytes: int | None
    late_p99: float | None


class Sample(_Data):
    """One look at the server; shares are of 1."""

    at: float
    established: int
    pgbouncer_clients: int
    pgbouncer_servers: int
    nginx_files: float
    memory: float
    cpu_cores: float | None
    cpu_by: Mapping[str, float]


class Resource(_Data):
    """How far something on the server was used at most, of 1."""

    name: str
    used: float
    detail: str


class Kept(_Data):
    """A series that the server's own Prometheus kept."""

    name: str
    meaning: str
    unit: str
    points: tuple[tuple[float, float], ...]


class Server(_Data):
    """What the server was doing."""

    cores: int | None
    samples: tuple[Sample, ...]
    series: tuple[Kept, ...]
    resources: tuple[Resource, ...]
    missing: tuple[str, ...]


class Change(_Data):
    """A measure beside the baseline's; `change` is a share of it."""

    measure: str
    before: float | None
    after: float | None
    change: float | None
    regression: bool
    why: str


class Comparison(_Data):
    """This run beside an earlier one."""

    baseline: str
    rule: str
    changes: tuple[Change, ...]
    regression: bool


class Profile(_Data):
    """What was asked for."""

    name: str
    description: str
    users: int


class LoadRun(_Data):
    """One run of one profile against one target."""

    target: str
    sizing: str
    started: str
    seconds: float
    complete: bool
    profile: Profile
    sources: int
    verdict: RunVerdict
    reasons: tuple[str, ...]
    objectives: tuple[Objective, ...]
    latency: Latency
    requests: int
    errors: int
    actions: tuple[Action, ...]
    failures: tuple[Failure, ...]
    windows: tuple[Window, ...]
    steps: tuple[Step, ...]
    knee: Knee | None
    generator: Generator
    server: Server
    histogram: str
    """All good answers in microseconds, as HdrHistogram encodes them; empty without any."""
    comparison: Comparison | None

    @field_validator("histogram")
    @classmethod
    def _decodes(cls, text: str) -> str:
        try:
            decoded(text)
        except Exception as problem:  # hdrh's own errors have no common class of their own
            raise ValueError(f"expected an encoded HdrHistogram, found {problem}") from problem
        return text


def decoded(histogram: str) -> HdrHistogram | None:
    """Return what a run's histogram encodes; None where there were no good answers."""
    found = HdrHistogram.decode(histogram) if histogram else None
    return found if found and found.get_total_count() else None


def part(run: LoadRun, name: str, anchor: str) -> Part:
    """Return what the run of that name comes to."""
    verdicts: Mapping[RunVerdict, Verdict] = {"met": "good", "missed": "bad", "invalid": "unknown"}
    missed = sum(1 for one in run.objectives if one.verdict == "missed")
    headline = {
        "met": "Every objective was met",
        "missed": f"{missed:,} of {plural(len(run.objectives), 'objective')} missed",
        "invalid": "The run says nothing",
    }[run.verdict]
    verdict = verdicts[run.verdict]
    if verdict == "good" and run.comparison is not None and run.comparison.regression:
        verdict, headline = "bad", f"It is slower than {run.comparison.baseline}"
    latency = [
        f"{name} {duration(value)}"
        for name, value in (("p95", run.latency.p95), ("p99", run.latency.p99))
        if value is not None
    ]
    detail = (
        f"{plural(run.requests, 'request')} of {plural(run.profile.users, 'user')} in "
        f"{duration(run.seconds)}, {run.errors:,} failed{''.join(f', {one}' for one in latency)}."
    )
    return Part(anchor, name, verdict, headline, detail)


def names(runs: Sequence[LoadRun]) -> list[str]:
    """Return what the runs are called: by profile, several of one profile also by their times."""
    profiles = [run.profile.name for run in runs]
    return [
        f"load ({name})" if profiles.count(name) == 1 else f"load ({name}, {moment(run.started)})"
        for name, run in zip(profiles, runs, strict=True)
    ]
