"""What is really there after a drill: read from the primary and the queue themselves."""

import json
from collections.abc import Iterable, Mapping, Sequence

from chaos.checker import Findings, check
from chaos.history import Operation, read_history
from chaos.host import Host
from chaos.platforms import PLATFORMS
from chaos.workload import Workload
from connect_infra.errors import ConnectInfraError


def findings(host: Host, work: Workload) -> tuple[dict[str, Findings | None], str]:
    """Hold both histories against what is there; without a read no finding, and why."""
    found: dict[str, Findings | None] = {"writes": None, "jobs": None}
    try:
        writes = read_history(work.writes_file)
        found["writes"] = check(writes, elements(host, work.names.first))
        jobs = read_history(work.jobs_file)
        ids = job_ids(host, work.names.since_ms)
        found["jobs"] = check(jobs, jobs_as_elements(jobs, ids))
    except (ConnectInfraError, ValueError) as problem:
        return found, f"the final read failed: {problem}"
    return found, ""


def elements(host: Host, first: int) -> list[int]:
    """The ledger's elements from `first` on; CommandFailed when they can't be read."""
    sql = f"SELECT element FROM ledger WHERE element >= {first} ORDER BY element"
    return [int(line) for line in host.answer(PLATFORMS[host.target.topology].sql, sql).split()]


def job_ids(host: Host, since_ms: int) -> set[str]:
    """Every job since then that was done, waits or was put aside.

    Waiting jobs are read first: one that ends meanwhile has been recorded before it was removed.
    """
    found: set[str] = set()
    for line in host.answer(PLATFORMS[host.target.topology].streams).splitlines():
        found |= {_id(entry) for entry in json.loads(line)}
    sql = f"SELECT id FROM job_runs WHERE split_part(id, '-', 1)::bigint >= {since_ms}"
    found |= set(host.answer(PLATFORMS[host.target.topology].sql, sql).split())
    return {one for one in found if int(one.split("-")[0]) >= since_ms}


def _id(entry: Sequence[object]) -> str:
    """A waiting job's own id, or the one that a job had before it was put aside."""
    fields = entry[1]
    if isinstance(fields, Mapping):
        return str(fields.get("id", entry[0]))
    assert isinstance(fields, list)
    pairs = dict(zip(fields[::2], fields[1::2], strict=True))
    return str(pairs.get("id", entry[0]))


def jobs_as_elements(history: Sequence[Operation], ids: Iterable[str]) -> list[int]:
    """The elements of the jobs that were read, for the checker.

    The queue names its jobs itself, so an acknowledged job is known by its id. An id that nobody
    was told belongs to a write whose fate is unknown, one each; whatever goes beyond those gets an
    element that nobody attempted.
    """
    known = {one.note: one.element for one in history if one.outcome == "ok"}
    unknown = [one.element for one in history if one.outcome == "info"]
    read = []
    strangers = 0
    for one in sorted(ids):
        if one in known:
            read.append(known[one])
            continue
        strangers += 1
        read.append(unknown.pop(0) if unknown else -strangers)
    return read
