"""What the health checks of either topology share: what a check is, and the machine itself.

Runs on the host under its own Python and may use the standard library only.
"""

import json
import os
import re
import secrets
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BASE = "/opt/connect"

LOAD_LIMIT = 8.0
"""Processes that want to run for each processor, over 15 minutes. Ours; the documents have none."""

ERRORS_LIMIT = 100
"""Lines an hour, of the system and of the application. Ours; the documents only count them."""


class Wrong(Exception):
    """Raised by a check with what is wrong."""


def settings():
    """Return what connect-infra wrote for the scripts."""
    with open(os.path.join(HERE, "settings.sh"), encoding="utf-8") as lines:
        pairs = (line.rstrip("\n").split("=", 1) for line in lines if re.match("[A-Z_]+=", line))
        return dict(pairs)


SETTINGS = settings()


def run(*command, stdin="", environment=None):
    """Return what a command prints; Wrong with its own words when it fails."""
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=30, cwd="/",
            env=dict(os.environ, **(environment or {})),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Wrong(f"{command[0]}: {problem}") from problem
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Wrong(said[0] if said else f"{command[0]} ended with {done.returncode}")
    return done.stdout.strip()


def at_most(found, limit, text):
    """Return the text; Wrong with it and the limit when more was found."""
    if found > limit:
        raise Wrong(f"{text}; the limit is {limit:.0f}")
    return text


def load():
    """The load over 15 minutes, and how busy the processors are right now."""
    before = cpu_times()
    time.sleep(0.3)
    total, idle = (after - earlier for after, earlier in zip(cpu_times(), before, strict=True))
    busy = 100 * (1 - idle / total) if total else 0.0
    cores, average = os.cpu_count() or 1, os.getloadavg()[2]
    text = f"load {average:.2f} on {cores} processors over 15 minutes, now {busy:.0f} % busy"
    return at_most(average, LOAD_LIMIT * cores, text)


def cpu_times():
    """Return all ticks of the processors since the boot, and the idle ones."""
    with open("/proc/stat", encoding="ascii") as stat:
        ticks = [int(each) for each in stat.readline().split()[1:]]
    return sum(ticks), ticks[3] + ticks[4]


def memory():
    """What is neither free nor could be."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    used = 100 * (1 - sizes["MemAvailable"] / sizes["MemTotal"])
    text = f"{used:.0f} % of {sizes['MemTotal'] / 2**20:.1f} GiB used"
    return at_most(used, float(SETTINGS["MEMORY_LIMIT"]), text)


def disks(*paths):
    """Blocks and inodes of the disks that these paths lie on."""
    found = {}
    for path in paths:
        state = os.statvfs(path)
        blocks = 100 * (1 - state.f_bavail / (state.f_blocks - state.f_bfree + state.f_bavail))
        inodes = 100 * (1 - state.f_favail / state.f_files) if state.f_files else 0.0
        found.setdefault(os.stat(path).st_dev, (path, max(blocks, inodes)))
    text = ", ".join(f"{path} {used:.0f} % used" for path, used in found.values())
    return at_most(max(used for _, used in found.values()), float(SETTINGS["DISK_LIMIT"]), text)


def front_door(version):
    """It answers over HTTPS: 200, healthy, of this version, to our own question."""
    nonce = secrets.token_hex(8)
    domain, certificate = SETTINGS["DOMAIN"], SETTINGS["CERTIFICATE"]
    said = run("curl", "-sS", "--max-time", "10", "-w", "\n%{http_code} %{time_total}", "--cacert",
               certificate, "--resolve", f"{domain}:443:127.0.0.1",
               f"https://{domain}/api/health?nonce={nonce}")  # fmt: skip
    body, _, figures = said.rpartition("\n")
    status, seconds = figures.split()
    try:
        answer = json.loads(body)
    except ValueError:
        answer = {}
    wanted = {"status": "healthy", "version": version, "nonce": nonce}
    if status != "200" or {name: answer.get(name) for name in wanted} != wanted:
        raise Wrong(f"status {status}, {body[:200] or 'no body'}")
    return f"200, healthy, version {version}, {float(seconds) * 1000:.0f} ms"


def certificate():
    """The certificate that clients are shown has more than 30 days left."""
    domain = SETTINGS["DOMAIN"]
    served = run("openssl", "s_client", "-connect", "127.0.0.1:443", "-servername", domain)
    ends = run("openssl", "x509", "-noout", "-enddate", stdin=served).partition("=")[2]
    seconds = time.mktime(time.strptime(ends, "%b %d %H:%M:%S %Y %Z")) - time.mktime(time.gmtime())
    days = int(seconds // 86400)
    if days < int(SETTINGS["CERTIFICATE_DAYS"]):
        raise Wrong(f"expires in {days} days; renew it")
    return f"expires in {days} days"


def journal_errors():
    """Return how many errors the system's journal has of the last hour."""
    said = run("journalctl", "-q", "--since=-1h", "--priority=err", "--no-pager", "-o", "cat")
    return len(said.splitlines())
