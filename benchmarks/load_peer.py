"""Our percentiles beside h2load's: the same pages, rate and time, on one lab host.

    python -m benchmarks.load_peer

Both measure one server that is equally busy for both, so what differs is how they measure. h2load
(Debian's nghttp2-client) asks evenly over one connection, with --rps; ours asks as evenly, with one
user for each page a second, and a hundredth faster, so that the two don't keep step.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

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

RATE, SECONDS = 20, 75
QUANTILES = (50.0, 75.0, 90.0, 95.0, 99.0)

TOLERANCE = 0.05
COMPARED = (50.0, 75.0, 90.0, 95.0)
"""With 1,500 requests, 15 decide where p99 is: it is shown and not compared."""


def main() -> int:
    """Print both side by side; 1 when a compared percentile differs by more than 5 %."""
    target = load_inventory(None).target("lab")
    guards.require_allowed(target)
    with tempfile.TemporaryDirectory(prefix="connect-infra-") as private:
        home = Path(private)
        log = home / "h2load.tsv"
        started = time.monotonic()
        with h2load(target, home, log) as other:
            ours = our_percentiles(target, home)
            code = other.wait(timeout=SECONDS)
        theirs = their_percentiles(log)
    print(f"{RATE} requests a second each, {time.monotonic() - started:.0f} s, h2load exit {code}")
    print(f"{'':6} {'ours':>10} {'h2load':>10} {'differ':>8}")
    apart = False
    for quantile in QUANTILES:
        mine, other_one = ours[quantile], theirs[quantile]
        difference = mine / other_one - 1
        apart |= quantile in COMPARED and abs(difference) > TOLERANCE
        print(
            f"p{quantile:<5g} {mine / 1000:7.2f} ms {other_one / 1000:7.2f} ms {difference:+7.1%}"
        )
    return int(apart or code != 0)


def pages(rate: int, seconds: int) -> Profile:
    """One user for each request a second, who leafs through the list of programs."""
    data = load_profile("smoke").model_dump()
    data |= {"users": rate, "sources": 20, "warmup": 0, "mix": {"programs": 1}, "spacing": "even"}
    return Profile.model_validate(data | {"steps": [{"rate": 1.01 * rate, "seconds": seconds}]})


def our_percentiles(target: Target, home: Path) -> dict[float, float]:
    """Microseconds by percentile, as our generator measures them."""
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
    found: dict[float, float] = total.latency.get_percentile_to_value_dict(list(QUANTILES))
    return found


def h2load(target: Target, home: Path, log: Path) -> "subprocess.Popen[bytes]":
    """Start h2load on the same pages."""
    uris = home / "uris"
    site = Site(target)
    numbers = [1 + 7 * n % BROWSED_PAGES for n in range(BROWSED_PAGES)]
    uris.write_text(
        "".join(f"https://{site.domain}/programs?page={n}\n" for n in numbers), encoding="ascii"
    )
    command = ["h2load", "--h1", "-c", "1", f"--rps={RATE}", "-n", str(RATE * SECONDS)]
    command += [f"--connect-to={site.address}:443", f"--log-file={log}", "-i", str(uris)]
    command += ["-H", "accept-encoding: gzip"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def their_percentiles(log: Path) -> dict[float, float]:
    """Microseconds by percentile, from h2load's log of every request; all must be 200."""
    rows = [line.split("\t") for line in log.read_text(encoding="ascii").splitlines()]
    assert {row[1] for row in rows} == {"200"}, {row[1] for row in rows}
    found = histogram()
    for row in rows:
        found.record_value(int(row[2]))
    percentiles: dict[float, float] = found.get_percentile_to_value_dict(list(QUANTILES))
    return percentiles


if __name__ == "__main__":
    sys.exit(main())
