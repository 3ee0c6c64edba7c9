"""What a run was and what came of it: one JSON document, for people's eyes by way of the report.

Times are in seconds of the run (0 is the start of the load) and latencies in seconds from the
intended start, unless a name says otherwise. None stands for what could not be observed.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from connect_infra.errors import LoadError
from loadtests.profile import Profile

Verdict = Literal["met", "missed", "invalid"]

FORMAT = 1
"""The number of this layout; a reader refuses others."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Latency(_Data):
    """Percentiles of the good answers, from HDR histograms of three digits."""

    count: int
    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p999: float | None
    p9999: float | None
    most: float | None


class ActionResult(_Data):
    """One action of the mix. Shares are of 1; requests include failed ones."""

    name: str
    planned_share: float
    share: float
    requests: int
    errors: int
    latency: Latency


class ErrorResult(_Data):
    """One kind of failure, and when it was first due (None: outside any window)."""

    kind: str
    count: int
    first_at: float | None


class Window(_Data):
    """A part of the time series; `users` and `connections` are the generator's at its end."""

    at: float
    seconds: float
    requests: int
    errors: int
    rate: float
    """Good answers a second."""
    p50: float | None
    p95: float | None
    p99: float | None
    most: float | None
    users: int | None
    connections: int | None


class StepResult(_Data):
    """One step of the profile, judged by itself."""

    rate: float
    at: float
    seconds: float
    planned: float
    requests: int
    errors: int
    answered_rate: float
    p95: float | None
    p99: float | None
    broken: str
    """What broke it; empty when nothing did."""
    limited_by: str
    """The resource that was closest to its end, with its use."""


class Resource(_Data):
    """How far something on the server was used at most, of 1."""

    name: str
    used: float
    detail: str


class Knee(_Data):
    """The highest rate that held, and what broke at the next one."""

    rate: float
    broken_at: float | None
    broken: str
    limited_by: str


class GeneratorResult(_Data):
    """What made the load, and whether it kept up."""

    processes: int
    users: int
    requests_planned: float
    requests_sent: int
    requests_by_process: dict[str, int]
    connections_expected: float
    connections_opened: int
    connections_most: int
    closed_by_server: int
    cpu_cores: float | None
    """Mean use of processors by all processes together."""
    cpu_cores_most: float | None
    memory_bytes: int | None
    """Most memory of all processes together (resident)."""
    late_p99: float | None
    """How late an idle user's request was sent: the generator's own delay."""
    late_most: float | None


class ServerSample(_Data):
    """One look at the server: what grows is given as a rate since the look before."""

    at: float
    established: int
    pgbouncer_clients: int
    pgbouncer_servers: int
    nginx_files: float
    """The fullest worker's open files, of 1."""
    memory: float
    """Of 1."""
    cpu_cores: float | None
    """Processors of the machine that were busy; a generator on the same machine is part of it."""
    cpu_by: dict[str, float]
    """Processors used by what."""


class Series(_Data):
    """A time series that the server's own Prometheus has kept."""

    name: str
    meaning: str
    unit: str
    query: str
    points: tuple[tuple[float, float], ...]


class ServerResult(_Data):
    """What the server was doing meanwhile."""

    cores: int | None
    samples: tuple[ServerSample, ...]
    series: tuple[Series, ...]
    resources: tuple[Resource, ...]
    """The closest to its end first."""
    missing: tuple[str, ...]
    """What could not be read, and why."""


class ObjectiveResult(_Data):
    """One objective: `invalid` when the measure could not be observed."""

    measure: str
    meaning: str
    unit: str
    sense: Literal["at most", "at least"]
    limit: float
    found: float | None
    verdict: Verdict
    source: str


class Change(_Data):
    """How a measure compares with the baseline's. Values are medians of windows, or totals."""

    measure: str
    before: float | None
    after: float | None
    change: float | None
    """Of 1; above 0 is more."""
    p_value: float | None
    regression: bool
    why: str


class Comparison(_Data):
    """This run beside an earlier one."""

    baseline: str
    rule: str
    changes: tuple[Change, ...]
    regression: bool


class LoadRun(_Data):
    """One run."""

    format: Literal[1] = 1
    id: str
    target: str
    topology: str
    sizing: str
    lab: bool
    started: str
    """ISO 8601, UTC."""
    seconds: float
    """How long load was made."""
    complete: bool
    """False: the run was cut short, and what is here is what there was."""
    profile: Profile
    sources: int
    """Client addresses that were used; 0: one, of the kernel's choice."""
    verdict: Verdict
    reasons: tuple[str, ...]
    """Why the run is invalid, or which objectives were missed."""
    objectives: tuple[ObjectiveResult, ...]
    latency: Latency
    requests: int
    errors: int
    actions: tuple[ActionResult, ...]
    failures: tuple[ErrorResult, ...]
    windows: tuple[Window, ...]
    steps: tuple[StepResult, ...]
    knee: Knee | None
    generator: GeneratorResult
    server: ServerResult
    histogram: str
    """All good answers after the warm-up: an HDR histogram (V2, zlib, base64) in microseconds."""
    comparison: Comparison | None
    versions: dict[str, str]

    @classmethod
    def parse(cls, text: str, where: str) -> Self:
        """A run from its JSON; LoadError when it is none."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as problem:
            raise LoadError(
                expected=f"the results of a load run, format {FORMAT}",
                found=str(problem.errors()[0]["msg"]),
                where=where,
                remedy="repeat the run with this version, or take the file away",
            ) from problem

    def to_json(self) -> str:
        """The run as JSON, the fields in their documented order."""
        return self.model_dump_json(indent=1) + "\n"
