"""What behaviour specs need on the host itself: clients of the pooler, commands, patience.

Hundreds of clients can't come through one SSH connection, so they are opened on the host, with the
libpq that PostgreSQL's own client brings there.
"""

import contextlib
import posixpath
import re
import threading
import time

import pytest

from connect_infra.web import Site

POOLER = """
import ctypes

pq = ctypes.CDLL("libpq.so.5")
for name in ("PQconnectdb", "PQexec"):
    getattr(pq, name).restype = ctypes.c_void_p
for name in ("PQerrorMessage", "PQgetvalue"):
    getattr(pq, name).restype = ctypes.c_char_p
pq.PQgetvalue.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
for name in ("PQstatus", "PQerrorMessage", "PQfinish", "PQresultStatus", "PQclear"):
    getattr(pq, name).argtypes = [ctypes.c_void_p]
pq.PQexec.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
TUPLES = 2

def quoted(text):
    return "'" + text.replace("\\\\", "\\\\\\\\").replace("'", "\\\\'") + "'"

def connect(user, password, database, name="connect-infra"):
    client = pq.PQconnectdb(
        "host=127.0.0.1 port=6432 connect_timeout=10 user={} password={} dbname={}"
        " application_name={}".format(user, quoted(password), database, name).encode()
    )
    if pq.PQstatus(client) != 0:
        raise ConnectionError(pq.PQerrorMessage(client).decode().strip())
    return client

def ask(client, statement, column=0, row=0):
    result = pq.PQexec(client, statement.encode())
    status = pq.PQresultStatus(result)
    if status > TUPLES:
        raise RuntimeError(pq.PQerrorMessage(client).decode().strip())
    value = pq.PQgetvalue(result, row, column).decode() if status == TUPLES else ""
    pq.PQclear(result)
    return value

def connected(admin):
    # This console is one of them.
    names = {ask(admin, "SHOW LISTS", 0, row): ask(admin, "SHOW LISTS", 1, row) for row in range(8)}
    return int(names["used_clients"])

def main(payload):
    clients = []
    def new(name="connect-infra"):
        clients.append(connect("connect", payload["password"], "connect", name))
        return clients[-1]
    try:
        return globals()[payload["what"]](payload, new)
    finally:
        for client in clients:
            pq.PQfinish(client)

def interleave(payload, new):
    pid = "SELECT pg_backend_pid()"
    one, other = new(), new()
    ask(one, "BEGIN")
    first = ask(one, pid)
    ask(other, "BEGIN")
    ask(other, pid)
    ask(one, "COMMIT")
    third = new()
    ask(third, "BEGIN")
    ask(third, pid)
    ask(one, "BEGIN")
    return [first, ask(one, pid)]

def leak(payload, new):
    # Both name themselves, as drivers do: what a client never sent, the pooler can't restore.
    one, other = new("one"), new("other")
    ask(one, "SET application_name TO 'connect-infra-probe'")
    ask(one, "BEGIN")
    ask(one, "SET LOCAL connect_infra.probe TO 'leaked'")
    ask(one, "COMMIT")
    seen = ask(other, "SHOW application_name"), ask(
        other, "SELECT coalesce(current_setting('connect_infra.probe', true), '')"
    )
    return [ask(one, "SHOW application_name"), " ".join(seen)]

def share(payload, new):
    opened = [new() for _ in range(payload["clients"])]
    return len({ask(client, "SELECT pg_backend_pid()") for client in opened})

def crowd(payload, new):
    admin = connect("pgbouncer_admin", payload["admin"], "pgbouncer")
    before = connected(admin)
    admitted, refusal = before, ""
    try:
        while admitted < payload["clients"]:
            new()
            admitted += 1
    except ConnectionError as refused:
        refusal = str(refused)
    pq.PQfinish(admin)
    return [admitted, refusal]
"""

PATIENCE = 30.0
"""Seconds until a service must be back after it died or was restarted."""


@pytest.fixture
def pooler(connection, secrets):
    """Clients of the pooler, opened on the host: share, interleave, leak or crowd."""

    def ask(what, clients=0):
        payload = {
            "what": what,
            "clients": clients,
            "password": secrets["POSTGRES_PASSWORD"],
            "admin": secrets["PGBOUNCER_ADMIN_PASSWORD"],
        }
        return connection.python(POOLER, payload)

    return ask


@pytest.fixture
def as_root(connection):
    """Run a script on the host as root; it must succeed."""

    def run(script, timeout=60.0):
        done = connection.run(script, sudo=True, timeout=timeout)
        assert done.code == 0, f"{script!r} ended with {done.code}: {done.stderr.strip()[-300:]}"
        return done.stdout.strip()

    return run


@pytest.fixture
def eventually():
    """Ask again until the answer is true; return it, or the last one when patience ends."""

    def wait(question, patience=PATIENCE):
        end = time.monotonic() + patience
        while not (answer := question()) and time.monotonic() < end:
            time.sleep(0.1)
        return answer

    return wait


@pytest.fixture
def dies_and_returns(as_root, eventually):
    """Kill a unit's main process and return whether another one runs in the end."""

    def kill(unit):
        show = f"systemctl show --value --property=MainPID {unit}"
        before = as_root(show)
        assert before != "0", f"{unit} does not run"
        as_root(f"kill -KILL {before}")

        def back():
            active = as_root(f"systemctl show --value --property=ActiveState {unit}") == "active"
            return active and as_root(show) not in {"0", before}

        return eventually(back)

    return kill


@pytest.fixture
def redis_client(connection, secrets):
    """Make a client of one of the two servers, by "cache" or "queue", through the connection."""
    import redis  # only intrusive specs need it, and it takes a while

    opened = []

    def client(instance):
        port = {"cache": 6379, "queue": 6380}[instance]
        stream = connection.stream(port)
        path = stream.__enter__()
        made = redis.Redis(
            unix_socket_path=str(path),
            password=secrets[f"REDIS_{instance.upper()}_PASSWORD"],
            decode_responses=True,
            socket_timeout=30,
        )
        opened.append((made, stream))
        return made

    yield client
    for made, stream in reversed(opened):
        made.close()
        stream.__exit__(None, None, None)


# Server-side, so that the values don't travel; small steps, because a server evicts between
# commands and not within a script.
_FILL = """
local value = string.rep('x', 1048576)
for number = tonumber(ARGV[1]), tonumber(ARGV[1]) + tonumber(ARGV[2]) - 1 do
  redis.call('SET', 'connect-infra:probe:' .. number, value, 'EX', 120)
end
return 'OK'
"""
_EMPTY = """
for number = 0, tonumber(ARGV[1]) do redis.call('UNLINK', 'connect-infra:probe:' .. number) end
return 'OK'
"""


class Filling:
    """Values of 1 MiB put into a server up to its limit, and taken out again."""

    STEP = 8

    def __init__(self, client, limit, full):
        """Prepare to fill a server of `limit` bytes, which raises `full` when it refuses more."""
        self.client = client
        self.full = full
        self.most = limit // 2**20 + 64
        self.written = 0
        self.refusal = ""

    def fill(self):
        """Write until the server refuses, or its limit has been written and some more."""
        while self.written < self.most and not self.refusal:
            try:
                self.client.eval(_FILL, 0, self.written, self.STEP)
                self.written += self.STEP
            except self.full as refusal:
                self.refusal = str(refusal)

    def present(self):
        """Return how many of the values are there."""
        names = [f"connect-infra:probe:{number}" for number in range(self.written)]
        return self.client.exists(*names) if names else 0

    def empty(self):
        """Take the values out."""
        self.client.eval(_EMPTY, 0, self.written + self.STEP)


@pytest.fixture
def filling(redis_client):
    """Fill a server up to its limit; what was put in is taken out at the end."""
    from redis.exceptions import OutOfMemoryError

    made = []

    def fill(instance):
        client = redis_client(instance)
        limit = int(client.config_get("maxmemory")["maxmemory"])
        one = Filling(client, limit, OutOfMemoryError)
        made.append(one)
        one.fill()
        return one

    yield fill
    for one in made:
        one.empty()


# --- the site, as clients meet it --------------------------------------------------------------

APPLICATION = "^node /opt/connect/current/server.js"
"""The title that PM2 gives the application's processes."""

STATIC = re.compile(rb"/_next/static/[\w./-]+\.css")
UPLOADED = {".png", ".jpg", ".gif", ".pdf"}
NOTHING = "connect-infra-nothing"

PATHS = {
    "page": "/",
    "api": "/api/health",
    "error page": f"/{NOTHING}",
    "api error": f"/api/{NOTHING}",
    "missing static": f"/_next/static/{NOTHING}.css",
    "missing upload": f"/uploads/{NOTHING}.png",
}

# A client of its own for the rate limits: an address of the loopback network that nobody else has.
BURST = """
import http.client, random, ssl, threading, time

def main(payload):
    source = "127.%d.%d.%d" % tuple(random.randint(1, 254) for _ in range(3))
    context = ssl._create_unverified_context()
    each = payload["sent"] // payload["connections"]
    statuses, connections = [], []
    for _ in range(payload["connections"]):
        one = http.client.HTTPSConnection(
            "127.0.0.1", context=context, timeout=20, source_address=(source, 0))
        one.connect()
        connections.append(one)
    def ask(one):
        for _ in range(each):
            one.request("GET", payload["path"], headers={"Host": payload["domain"]})
            answer = one.getresponse()
            answer.read()
            statuses.append(answer.status)
    threads = [threading.Thread(target=ask, args=(one,)) for one in connections]
    started = time.monotonic()
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return [statuses, time.monotonic() - started]
"""


@pytest.fixture(scope="session")
def site(target):
    """The target's site, reached from here."""
    return Site(target)


class Kinds:
    """One answer of each kind that the site gives, asked for once a run."""

    def __init__(self, site, facts):
        """Remember where to ask."""
        self.site = site
        self.facts = facts
        self.answers = {}

    def ask(self, kind, headers=None):
        """The answer of this kind: page, api, static, …"""
        return self.get(self.static() if kind == "static" else PATHS[kind], headers)

    def static(self):
        """A static file, from the links of the page."""
        links = STATIC.search(self.ask("page").body)
        assert links is not None, "the page links to no style sheet below /_next/static/"
        return links[0].decode()

    def upload(self, headers=None):
        """A picture or document that somebody has uploaded; there is none on a new server."""
        names = sorted(
            posixpath.basename(entry.path) for entry in self.facts.layout.below("shared/uploads")
        )
        ours = [name for name in names if posixpath.splitext(name)[1] in UPLOADED]
        if not ours:
            pytest.skip("nobody has uploaded anything yet: there is no upload to ask for")
        return self.get(f"/uploads/{ours[0]}", headers)

    def get(self, path, headers):
        """Ask, unless somebody has before."""
        key = (path, *sorted((headers or {}).items()))
        if key not in self.answers:
            self.answers[key] = self.site.ask(path, headers=headers)
        return self.answers[key]


@pytest.fixture(scope="session")
def kinds(site, facts):
    """Every kind of answer."""
    return Kinds(site, facts)


@pytest.fixture
def burst(connection, target):
    """Send many requests at once from one address; return how they were answered."""

    def send(path, sent):
        payload = {"path": path, "sent": sent, "connections": 6, "domain": target.domain}
        statuses, seconds = connection.python(BURST, payload)
        refused = [status for status in statuses if status in {429, 503}]
        return len(statuses), len(statuses) - len(refused), set(refused), seconds

    return send


@pytest.fixture(scope="session")
def waited(connection, site):
    """How clients were answered, and after how many seconds, while the application hung."""
    paths = ("/", "/api/programs")
    lease = "connect-infra-hang"
    found = {}

    def wait(path):
        started = time.monotonic()
        answer = site.ask(path, limit=80)
        found[path] = (answer.status, time.monotonic() - started)

    go_on = f"pkill -CONT -f '{APPLICATION}'"
    threads = [threading.Thread(target=wait, args=(path,)) for path in paths]
    # Should we be killed, the host itself lets the application go on.
    in_time = f"systemd-run --quiet --unit={lease} --on-active=100 {go_on}"
    stop = f"{in_time}\n{go_on.replace('CONT', 'STOP')}"
    done = connection.run(stop, sudo=True)
    assert done.code == 0, done.stderr
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        connection.run(f"{go_on}\nsystemctl stop {lease}.timer", sudo=True)
    return found


@pytest.fixture
def asking(site):
    """Ask again and again while something else happens; the answers' states are noted."""

    @contextlib.contextmanager
    def ask(path, statuses):
        stop = threading.Event()

        def work():
            while not stop.wait(0.05):
                statuses.append(site.ask(path).status)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    return ask
