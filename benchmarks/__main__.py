"""`make bench`: one run, one lab host, every figure of docs/benchmarks.md measured in it."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import peers
from benchmarks.checks import Check, checks
from connect_infra.document import load
from connect_infra.lab import Lab
from connect_infra.report import results
from connect_infra.targets import Target
from provisioning import provision, wanted

PAGE = Path("docs/benchmarks.md")
SUBSET = 20
TIMES = 3


def say(message: str) -> None:
    """Progress, on stderr."""
    print(f"bench: {message}", file=sys.stderr, flush=True)


def timed(action: Callable[[], object]) -> float:
    """Seconds of wall time that an action takes."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def verify(*options: str) -> tuple[float, results.Run]:
    """Seconds of the whole `pytest specs/ --target lab` with `options`, and its results."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "results.json")
        command = [sys.executable, "-m", "pytest", "specs/", "--target", "lab", "-q", *options]
        started = time.monotonic()
        done = subprocess.run([*command, f"--results={file}"], capture_output=True, text=True)
        seconds = time.monotonic() - started
        if done.returncode != 0:
            say(f"pytest exited {done.returncode}: {done.stdout[-800:]}")
        return seconds, results.load(file)


def apply() -> None:
    """`connect-infra apply` on a host that is as wanted."""
    program = [sys.executable, "-c", "from connect_infra.cli import main; main()"]
    command = [*program, "apply", "--target", "lab", "--yes"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0 or "nothing to do" not in done.stdout:
        sys.exit(f"bench: expected nothing to do, found: {(done.stdout + done.stderr)[-800:]}")


def main() -> None:
    """Boot, provision, verify and compare; write the page; leave no host behind."""
    peers.BUILD.mkdir(exist_ok=True)
    load_before = os.getloadavg()
    lab = Lab(say)
    lab.up()  # builds the image where it is missing: no part of any figure
    lab.down()
    boot = timed(lab.up)
    try:
        rows = _measure(lab.up().target(), boot)
    finally:
        lab.down()
    PAGE.write_text("\n".join([*_head(load_before), *rows, *_notes()]) + "\n", encoding="utf-8")
    say(f"written to {PAGE}")


def _measure(target: Target, boot: float) -> list[str]:
    components = wanted(target)
    provisioned = timed(lambda: provision(target))
    say(f"boot {boot:.1f} s, provision {provisioned:.1f} s")
    runs, by_two = [], []
    for _ in range(TIMES):  # in turn, so that both see the same machine
        runs.append(verify())
        by_two.append(verify("-n", "2"))
    whole = boot + provisioned + runs[0][0]
    verified, run = statistics.median(seconds for seconds, _ in runs), runs[-1][1]
    asserted = sum(run.counts.values()) - run.counts["not_applicable"]
    halved = statistics.median(seconds for seconds, _ in by_two)
    say(f"verify {verified:.1f} s, with -n 2 {halved:.1f} s")
    applied = statistics.median(timed(apply) for _ in range(TIMES))
    say(f"apply {applied:.1f} s")
    playbooks, resources, recap = peers.by_ansible(target, components, 1)
    played = playbooks[0]
    say(f"ansible {played:.1f} s: {recap}")
    every = checks(load().on(target.sizing, target.memory, target.lab, target.domain))
    rows = [
        "| what | measured | goal |",
        "| --- | --- | --- |",
        f"| lab host boot | {boot:.1f} s | under 10 s |",
        f"| bare base image to verified host (boot, provision, verify) | {whole:.0f} s | "
        "under 180 s |",
        f"| `pytest specs/ --target lab`, {asserted} controls asserted, "
        f"{run.counts['pass']} pass, median of {TIMES} | {verified:.1f} s | under 5 s |",
        f"| its round trips | {run.round_trips} | |",
        f"| the same with `-n 2` (pytest-xdist), in turn with it | {halved:.1f} s: "
        f"**{halved / verified:.2f}x** its time | not slower |",
        f"| its time a control | {1000 * verified / asserted:.0f} ms | |",
    ]
    for shared, how in ((False, "as it comes"), (True, "with `controlpath`, one ssh connection")):
        seconds, wrong = peers.by_testinfra(target, every, asserted, shared)
        say(f"testinfra {how} {seconds:.1f} s; did not hold: {wrong}")
        rows.append(
            f"| {asserted} commands one at a time by stock testinfra over ssh, {how} | "
            f"{seconds:.1f} s: **{seconds / verified:.1f}x** our time | at least 20x |"
        )
        rows += [f"| … of these did not hold | {', '.join(wrong)} | |"] if wrong else []
    rows.append(_serverspec(target, every, verified / asserted))
    rows += [
        f"| `connect-infra apply` with nothing to do, median of {TIMES} | {applied:.1f} s | "
        "under 3 s |",
        f"| ansible-core {peers.ANSIBLE} in check mode, the same {resources} resources, "
        f"once | {played:.1f} s: **{played / applied:.1f}x** our time | at least 8x |",
        "",
        f"testinfra had {len(every)} distinct commands, and began again with the first to make "
        f"{asserted}. ansible's recap: `{recap}`.",
        "",
    ]
    return rows


def _serverspec(target: Target, every: Sequence[Check], ours: float) -> str:
    problem = peers.install_serverspec()
    what = f"| ruby-serverspec over ssh, {SUBSET} of these commands | "
    if problem:
        return f"{what}not measured: {problem} | |"
    seconds, summary = peers.by_serverspec(target, every[:SUBSET])
    say(f"serverspec {seconds:.1f} s: {summary}")
    each = seconds / SUBSET
    return (
        f"{what}{seconds:.1f} s ({summary}), {1000 * each:.0f} ms each: "
        f"**{each / ours:.1f}x** our time a control | |"
    )


def _head(load_before: tuple[float, float, float]) -> list[str]:
    before = ", ".join(f"{each:.1f}" for each in load_before)
    after = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    cores = os.cpu_count()
    return [
        "# Benchmarks",
        "",
        "Written by `make bench` (`.venv/bin/python -m benchmarks`); don't edit.",
        "",
        f"- Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"- Machine: {cores} cores, shared by the controller and the lab host",
        f"- Load average (1, 5, 15 min) at the start: {before}; at the end: {after}",
        "",
        f"A load above {cores} at the start means that other work took part of the machine: every "
        "figure in seconds is then longer than on an idle one, and ratios, whose two sides ran "
        "minutes apart, are rough.",
        "",
    ]


def _notes() -> list[str]:
    return [
        "## What is compared",
        "",
        "- Ours: the whole command, interpreter start included. A control often has several specs; "
        "it counts once.",
        "- testinfra and serverspec: one command a control (SHOW, CONFIG GET, `sshd -T`, a line of "
        "a file, `stat`) as root by sudo; most controls of ours assert more than that. testinfra "
        "compares the value, in a plain loop without pytest; serverspec, whose time includes "
        "Ruby's start, the exit code only.",
        "- Strict host keys for all of them; testinfra as it comes opens one ssh connection a "
        "command, since it sets no control path by itself.",
        "- ansible-core: one task a resource, no fact gathering, pipelining on, one ssh "
        "connection. Packages are `dpkg-query` commands, because a bare host lacks the python3-apt "
        "that the apt module's check mode needs. What only a command can check runs as that "
        "command.",
        "",
        "## What isn't",
        "",
        "- The first build of the base image, and the peers' own installation.",
        "- Distance: the lab is on the same machine, so a round trip has almost no network in it.",
    ]


main()
