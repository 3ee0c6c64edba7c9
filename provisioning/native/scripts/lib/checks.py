"""The checks of a host's health: each returns what it found, or raises Wrong.

They run on the host under its own Python and may use the standard library only.
"""

import glob
import json
import os
import re
import secrets
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BASE = "/opt/connect"
STATE = "/var/lib/connect-infra/releases"
SERVICES = (
    "postgresql@15-main", "pgbouncer", "redis-cache", "redis-queue", "nginx", "connect", "cron",
)  # fmt: skip
"""Document A, 7.2, and what it leaves out: the pool, the schedule of backups. postgresql.service
is active while its cluster is down."""

LOAD_LIMIT = 8.0
"""Processes that want to run for each processor, over 15 minutes. Ours; the document has none."""

ERRORS_LIMIT = 100
"""Lines an hour, of the system and of the application. Ours; the document only counts them."""

LOG_LIMIT = 1 << 30
"""Bytes of one log file: beyond, it is not being rotated. Ours."""

CONNECTIONS_LIMIT = 90
"""Percent of max_connections."""

QUEUE_LIMIT = 90
"""Percent of its memory: at 100 the queue refuses jobs, because it evicts nothing."""

BACKUP_AGE_LIMIT = 26 * 3600
"""Seconds. Backups are made daily at 2 (document A, 4.1); two hours to make one."""


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


def query(sql, *options):
    """Ask the server itself, or with options whoever they lead to."""
    where = options or ("-U", "postgres")
    as_postgres = () if options else ("runuser", "-u", "postgres", "--")
    password = {"PGPASSWORD": secret("DATABASE_URL"), "PGCONNECT_TIMEOUT": "5"} if options else None
    return run(
        *as_postgres, "psql", "-XAtq", *where, "-d", "connect", "-c", sql, environment=password
    )


def secret(name):
    """Return the password in a URL of the environment file."""
    with open(f"{BASE}/shared/config/.env.production", encoding="utf-8") as lines:
        for line in lines:
            found = re.match(rf'{name}="?\w+://[^:]*:([^@]*)@', line)
            if found:
                return found[1]
    raise Wrong(f"no password in {name} of .env.production")


# --- resources ---------------------------------------------------------------------------------


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


def disk():
    """Blocks and inodes of the disks that the platform lies on."""
    found = {}
    for path in ("/", BASE, f"{BASE}/releases", f"{BASE}/backup", "/var/lib/postgresql"):
        state = os.statvfs(path)
        blocks = 100 * (1 - state.f_bavail / (state.f_blocks - state.f_bfree + state.f_bavail))
        inodes = 100 * (1 - state.f_favail / state.f_files) if state.f_files else 0.0
        found.setdefault(os.stat(path).st_dev, (path, max(blocks, inodes)))
    text = ", ".join(f"{path} {used:.0f} % used" for path, used in found.values())
    return at_most(max(used for _, used in found.values()), float(SETTINGS["DISK_LIMIT"]), text)


# --- services ----------------------------------------------------------------------------------


def services():
    """Every service of the platform is active."""
    states = dict(zip(SERVICES, unit_states(), strict=True))
    down = [f"{name} is {state}" for name, state in states.items() if state != "active"]
    if down:
        raise Wrong(", ".join(down))
    return f"{len(states)} are active"


def unit_states():
    """Return the ActiveState of each, in order; a unit that is not there is inactive."""
    shown = run("systemctl", "show", "--property=ActiveState", "--value", *SERVICES)
    return [line for line in shown.splitlines() if line]


def database():
    """A query is answered; connections, and how long it has been up."""
    connections, most, uptime = query(
        "SELECT count(*), current_setting('max_connections'),"
        " date_trunc('second', now() - pg_postmaster_start_time()) FROM pg_stat_activity"
    ).split("|")
    if query("SELECT pg_is_in_recovery()") != "f":
        raise Wrong("it is in recovery: nothing can be written")
    text = f"{connections} of {most} connections, up {uptime}"
    return at_most(100 * int(connections) / int(most), CONNECTIONS_LIMIT, text)


def pool():
    """A query is answered through PgBouncer, with the application's password."""
    query("SELECT 1", "-h", "127.0.0.1", "-p", SETTINGS["POOL_PORT"], "-U", "connect")
    return "a query is answered"


def redis(name):
    """The server answers to its password, and has room left if it never evicts."""
    port = SETTINGS[f"REDIS_{name}_PORT"]
    said = run(
        "redis-cli", "--no-auth-warning", "-h", "127.0.0.1", "-p", port,
        stdin="PING\nINFO memory\n", environment={"REDISCLI_AUTH": secret(f"REDIS_{name}_URL")},
    )  # fmt: skip
    figures = dict(line.strip().split(":", 1) for line in said.splitlines() if ":" in line)
    if not said.startswith("PONG") or "used_memory" not in figures:
        raise Wrong(said.partition("\n")[0] or f"no answer on port {port}")
    used, most = int(figures["used_memory"]), int(figures["maxmemory"])
    text = f"{used / 2**20:.0f} of {most / 2**20:.0f} MiB used"
    limit = QUEUE_LIMIT if figures["maxmemory_policy"] == "noeviction" else 110
    return at_most(100 * used / most if most else 0, limit, text)


# --- the application ---------------------------------------------------------------------------


def release():
    """Return name and version of the current release; Wrong when none was deployed."""
    path = os.path.realpath(f"{BASE}/current")
    try:
        with open(f"{path}/VERSION", encoding="utf-8") as file:
            return path, file.readline().strip()
    except OSError:
        raise Wrong("no release has been deployed") from None


def application():
    """PM2's processes are online, and every one is of the current release."""
    path, version = release()
    listed = run("runuser", "-u", "connect", "--", "env", "HOME=/home/connect",
                 "PM2_HOME=/home/connect/.pm2", "pm2", "jlist", "--silent")  # fmt: skip
    found = json.loads(listed[listed.index("[") :])
    states = [each["pm2_env"]["status"] for each in found]
    if not states or set(states) != {"online"}:
        raise Wrong(f"PM2's processes are {', '.join(states) or 'none'}")
    others = [each["pid"] for each in found if os.readlink(f"/proc/{each['pid']}/cwd") != path]
    if others:
        raise Wrong(f"{len(others)} of {len(found)} processes run another release than current")
    return f"{len(states)} processes online, version {version}"


def switching():
    """No deployment or rollback was left half-way."""
    if os.path.exists(f"{STATE}/switching"):
        busy = subprocess.run(["flock", "--nonblock", f"{STATE}/lock", "true"]).returncode
        if busy:
            return "a deployment or rollback is running"
        raise Wrong("one was killed; clean up with deploy.sh --recover, or just deploy again")
    return "none is unfinished"


def api():
    """The front door answers over HTTPS: 200, healthy, our version, to our own question."""
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
    wanted = {"status": "healthy", "version": release()[1], "nonce": nonce}
    if status != "200" or {name: answer.get(name) for name in wanted} != wanted:
        raise Wrong(f"status {status}, {body[:200] or 'no body'}")
    return f"200, healthy, version {wanted['version']}, {float(seconds) * 1000:.0f} ms"


def certificate():
    """The certificate that nginx serves has more than 30 days left."""
    domain = SETTINGS["DOMAIN"]
    served = run("openssl", "s_client", "-connect", "127.0.0.1:443", "-servername", domain)
    ends = run("openssl", "x509", "-noout", "-enddate", stdin=served).partition("=")[2]
    seconds = time.mktime(time.strptime(ends, "%b %d %H:%M:%S %Y %Z")) - time.mktime(time.gmtime())
    days = int(seconds // 86400)
    if days < int(SETTINGS["CERTIFICATE_DAYS"]):
        raise Wrong(f"expires in {days} days; renew it: certbot renew")
    return f"expires in {days} days"


# --- logs and backups --------------------------------------------------------------------------


def logs():
    """How big the application's logs are."""
    sizes = {path: os.path.getsize(path) for path in glob.glob(f"{BASE}/shared/logs/*.log")}
    text = ", ".join(f"{os.path.basename(path)} {size / 2**20:.1f} MiB" for path, size in
                     sorted(sizes.items())) or "none yet"  # fmt: skip
    return at_most(max(sizes.values(), default=0), LOG_LIMIT, text)


def errors():
    """Errors of the last hour: the system's journal, and the application's log."""
    journal = run("journalctl", "-q", "--since=-1h", "--priority=err", "--no-pager", "-o", "cat")
    system, application = len(journal.splitlines()), recent(f"{BASE}/shared/logs/error.log")
    text = f"{system} of the system and {application} of the application in the last hour"
    return at_most(max(system, application), ERRORS_LIMIT, text)


def recent(path):
    """Return how many of the last 10,000 lines are of the last hour, by the time that PM2 adds."""
    if not os.path.exists(path):
        return 0
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() - 3600))
    lines = run("tail", "-n", "10000", path).splitlines()
    return sum(re.match(r"\d{4}-\d\d-\d\dT", line) is not None and line[:19] > since
               for line in lines)  # fmt: skip


def backup():
    """The last database backup: its age, that it is whole, and that WAL is being archived."""
    info = json.loads(run("runuser", "-u", "postgres", "--", "pgbackrest", "info", "--output=json",
                          f"--stanza={SETTINGS['STANZA']}"))[0]  # fmt: skip
    if info["status"]["code"] != 0:
        raise Wrong(f"{info['status']['message']}; make one: connect-infra backup")
    last = info["backup"][-1]
    if last.get("error"):
        raise Wrong(f"backup {last['label']} has damaged pages")
    archiver = query("SELECT coalesce(last_failed_time > last_archived_time"
                     ", last_failed_time IS NOT NULL), last_failed_wal FROM pg_stat_archiver"
                     )  # fmt: skip
    if archiver.startswith("t"):
        raise Wrong(f"WAL is not archived: {archiver[2:]} failed")
    age = time.time() - last["timestamp"]["stop"]
    text = f"{last['label']}, {age / 3600:.1f} hours old"
    if age > BACKUP_AGE_LIMIT:
        raise Wrong(f"{text}; the limit is {BACKUP_AGE_LIMIT // 3600}")
    return text
