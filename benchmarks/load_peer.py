"""Our percentiles beside h2load's: the same pages, rate and time, on one lab host.

    python -m benchmarks.load_peer

Both measure one server that is equally busy for both, so what differs is how they measure. Both
ask evenly, with one connection for each page a second; ours a hundredth faster, so that the two
don't keep step. h2load is Debian's nghttp2-client. One round has too few requests to fix p95 to
5 %, and a disturbance of the machine can meet one of both: what counts is the median of all rounds.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hdrh.histogram import HdrHistogram

from connect_infra.targets import Target, load_inventory
from connect_infra.web import Site
from loadtests import guards
from loadtests.actions import BROWSED_PAGES
from loadtests.evidence import Evidence, Follower
from loadtests.planning import plan_for
from loadtests.process import Locust
from loadtests.profile import Profile, load_profile
from loadtests.recorder import histogram
from loadtests.sources import client_addresses

RATE, SECONDS, ROUNDS = 20, 60, 5
HEAD_START = 10
"""Seconds that h2load goes on longer: ours begins later. Only what is asked meanwhile counts."""

QUANTILES = (50.0, 75.0, 90.0, 95.0, 99.0)

TOLERANCE = 0.05
COMPARED = (50.0, 75.0, 90.0, 95.0)
"""With 1,200 requests a round, 12 decide where p99 is: it is shown and not compared."""


def main() -> int:
    """Print both side by side; 1 when a compared percentile differs by more than 5 %."""
    target = load_inventory(None).target("lab")
    guards.require_allowed(target)
    rounds = [shown(number, *measured(target)) for number in range(1, ROUNDS + 1)]
    differ = {one: statistics.median(found[one] for found in rounds) for one in QUANTILES}
    print(f"{RATE} requests a second each; medians of {ROUNDS} rounds of {SECONDS} s")
    for quantile, difference in differ.items():
        print(f"p{quantile:<11g} {difference:+8.1%}")
    return int(any(abs(differ[one]) > TOLERANCE for one in COMPARED))


def measured(target: Target) -> tuple[HdrHistogram, HdrHistogram]:
    """One round: our latencies and h2load's, in microseconds."""
    with tempfile.TemporaryDirectory(prefix="connect-infra-") as private:
        home = Path(private)
        log = home / "h2load.tsv"
        with h2load(target, home, log) as other:
            begun, ours = our_latencies(target, home)
            code = other.wait(timeout=HEAD_START + SECONDS)
        assert code == 0, f"h2load ended with {code}"
        return ours, their_latencies(log, begun)


def shown(number: int, ours: HdrHistogram, theirs: HdrHistogram) -> dict[float, float]:
    """Print both; by how much of h2load's ours is higher, for each percentile."""
    print(f"round {number:<6} {'ours':>10} {'h2load':>10} {'differ':>8}")
    differ = {}
    for quantile in QUANTILES:
        mine, other = (one.get_value_at_percentile(quantile) for one in (ours, theirs))
        differ[quantile] = mine / other - 1
        columns = f"{mine / 1000:7.2f} ms {other / 1000:7.2f} ms {differ[quantile]:+8.1%}"
        print(f"p{quantile:<11g} {columns}")
    print(f"{'requests':12} {ours.get_total_count():10} {theirs.get_total_count():10}", flush=True)
    return differ


def pages(rate: int, seconds: int) -> Profile:
    """One user for each request a second, who leafs through the list of programs."""
    data = load_profile("smoke").model_dump()
    data |= {"users": rate, "sources": 20, "warmup": 0, "mix": {"programs": 1}, "spacing": "even"}
    return Profile.model_validate(data | {"steps": [{"rate": 1.01 * rate, "seconds": seconds}]})


def our_latencies(target: Target, home: Path) -> tuple[float, HdrHistogram]:
    """The epoch of our first second, and what our generator measured; no request may fail."""
    wanted = pages(RATE, SECONDS)
    with client_addresses(target.host, wanted.sources, lab=target.lab) as addresses:
        plan = plan_for(wanted, target, addresses)
        (home / "plan.json").write_text(plan.model_dump_json(), encoding="utf-8")
        evidence = Evidence.of(plan)
        follower = Follower(home / "rows.jsonl", evidence)
        with Locust(
            home / "plan.json", home / "rows.jsonl", home / "log", workers=0, remote=False
        ) as locust:
            while locust.running:
                time.sleep(0.5)
        follower.close()
    total = evidence.merged.total()
    assert not total.errors, total.errors
    assert evidence.begun is not None
    return evidence.begun, total.latency


def h2load(target: Target, home: Path, log: Path) -> "subprocess.Popen[bytes]":
    """Start h2load on the same pages."""
    uris = home / "uris"
    site = Site(target)
    numbers = [1 + 7 * n % BROWSED_PAGES for n in range(BROWSED_PAGES)]
    uris.write_text(
        "".join(f"https://{site.domain}/programs?page={n}\n" for n in numbers), encoding="ascii"
    )
    # A connection is made every 1/RATE seconds, and asks once a second from then on.
    apart = f"--rate-period={1000 // RATE}ms"
    command = ["h2load", "--h1", "-c", str(RATE), "-r", "1", apart, "--rps=1"]
    command += ["-n", str(RATE * (HEAD_START + SECONDS))]
    command += [f"--connect-to={site.address}:443", f"--log-file={log}", "-i", str(uris)]
    command += ["-H", "accept-encoding: gzip"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def their_latencies(log: Path, begun: float) -> HdrHistogram:
    """What h2load asked while ours did, from its log of every request; all must be 200."""
    rows = [line.split("\t") for line in log.read_text(encoding="ascii").splitlines()]
    assert {row[1] for row in rows} == {"200"}, {row[1] for row in rows}
    found = histogram()
    for asked, _, took in rows:
        if begun <= int(asked) / 1e6 <= begun + SECONDS:
            found.record_value(int(took))
    assert found.get_total_count() > 0.9 * RATE * SECONDS, "h2load ended too early"
    return found


if __name__ == "__main__":
    sys.exit(main())
