"""The stand-in release on a provisioned host: what it answers, keeps, counts and survives."""

import concurrent.futures
import itertools
import json
import time

import pytest
import redis

from connect_infra import operations
from connect_infra.errors import OperationError
from connect_infra.lab.release import build_release
from connect_infra.targets import load_secrets
from connect_infra.transport import connect
from connect_infra.web import Site
from tests.lab.operations import fresh_backup

pytestmark = pytest.mark.long  # minutes on two cores; `make proofs` runs it

USER = {"user": "user-7@example.com", "password": "connect-lab"}
MIGRATE = """
cd /opt/connect/current && runuser -u connect -- sh -euc '
  set -a; . /opt/connect/shared/config/.env.production
  MIGRATE_DATABASE_URL=$(echo "$DATABASE_URL" | sed s/:6432/:{port}/)
  node migrate.js {option}'
"""


class Client:
    """A user of the front door."""

    def __init__(self, target):
        self.site = Site(target)

    def __call__(self, method, path, body=b"", headers=None):
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        return self.site.ask(path, method=method, body=content, headers=headers)

    def json(self, *request):
        answer = self(*request)
        return answer.status, json.loads(answer.body)


@pytest.fixture(scope="module")
def connection(host):
    with connect(host.target()) as opened:
        yield opened


@pytest.fixture(scope="module")
def site(host, connection, tmp_path_factory):
    fresh_backup(host)
    operations.deploy(connection, build_release(tmp_path_factory.mktemp("package"), "first"), print)
    return Client(host.target())


def eventually(condition, seconds=30.0):
    limit = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < limit, "not within its time"
        time.sleep(0.5)
    return value


def metrics(connection):
    text = connection.run("curl -sf http://localhost:3001/api/metrics").stdout
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {series: float(value) for series, value in lines}


def token(site):
    status, body = site.json("POST", "/api/login", USER)
    assert status == 200
    return {"Authorization": f"Bearer {body['token']}"}


def test_the_home_page_is_of_this_request_and_this_release(site):
    answer = site("GET", "/?nonce=n-42")
    assert answer.status == 200
    assert answer.one("X-Connect-Version") == "first"
    assert b"Connect" in answer.body
    assert b'<meta name="nonce" content="n-42">' in answer.body


def test_programs_are_browsed_and_searched(site):
    assert site.json("GET", "/api/programs")[1]["total"] == 100_000
    status, found = site.json("GET", "/api/programs?query=robotics+seoul&page=2")
    assert status == 200
    assert len(found["programs"]) == 20
    assert all("Seoul Robotics" in program["title"] for program in found["programs"])
    shown = site.json("GET", f"/api/programs/{found['programs'][0]['id']}")[1]
    assert shown["title"] == found["programs"][0]["title"]
    assert site.json("GET", "/api/programs/100001")[0] == 404


def test_matches_are_cached_for_an_hour_under_the_documented_key(site, host, connection):
    first, second = (site("GET", "/api/matches?organizationId=4711") for _ in range(2))
    assert (first.one("X-Cache"), second.one("X-Cache")) == ("MISS", "HIT")
    assert first.body == second.body
    scores = [match["score"] for match in json.loads(first.body)["matches"]]
    assert len(scores) == 10
    assert scores == sorted(scores, reverse=True)
    password = load_secrets(host.target())["REDIS_CACHE_PASSWORD"]
    with connection.stream(6379) as path:
        cache = redis.Redis(unix_socket_path=str(path), password=password)
        assert 3500 < cache.ttl("org:4711:matches") <= 3600


def test_only_the_right_password_logs_in(site, connection):
    before = metrics(connection)["login_failures_total"]
    assert site.json("POST", "/api/login", USER | {"password": "wrong"})[0] == 401
    assert site.json("POST", "/api/login", USER | {"user": "nobody"})[0] == 401
    assert token(site)
    eventually(lambda: metrics(connection)["login_failures_total"] == before + 2)


def test_an_upload_comes_back_as_it_was(site):
    content = bytes(range(256)) * 8192
    assert site.json("POST", "/api/uploads", b"x")[0] == 401
    status, stored = site.json("POST", "/upload?name=a.pdf", content, token(site))
    assert status == 201, stored
    answer = site("GET", stored["url"])
    assert answer.body == content
    assert answer.one("Content-Type") == "application/pdf"


def test_jobs_are_done_and_counted(site, connection):
    before = metrics(connection)
    outcomes = [{"agency": "Agency 3", "fail": fail} for fail in (True, True, False)]
    ids = [site.json("POST", "/api/scrapes", outcome)[1]["id"] for outcome in outcomes]
    for job in ids:
        eventually(lambda job=job: site.json("GET", f"/api/jobs/{job}")[0] == 200)
    eventually(lambda: site.json("GET", "/api/jobs")[1] == {"unfinished": 0, "dead": 0})
    wanted = before["scraping_failures_total"] + 2, before["scraping_success_total"] + 1

    def counted():
        now = metrics(connection)
        return (now["scraping_failures_total"], now["scraping_success_total"]) == wanted

    eventually(counted)


def test_a_ledger_takes_each_element_once(site):
    assert site.json("POST", "/api/ledger", {"element": 7})[0] == 201
    assert site.json("POST", "/api/ledger", {"element": 7})[0] == 409
    assert site.json("POST", "/api/ledger", {"element": 9})[0] == 201
    assert site.json("GET", "/api/ledger?from=7")[1] == {"elements": [7, 9], "next": None}


def test_metrics_stay_inside_and_agree_whoever_answers(site, connection):
    assert site.json("GET", "/api/metrics")[0] == 404
    seen = [metrics(connection)["scraping_failures_total"] for _ in range(6)]
    assert len(set(seen)) == 1


def test_without_the_cache_it_is_slower_and_right(site, connection):
    assert connection.run("systemctl stop redis-cache", sudo=True).code == 0
    try:
        eventually(lambda: site.json("GET", "/api/health")[1]["status"] == "degraded")
        for _ in range(2):
            answer = site("GET", "/api/matches?organizationId=4712")
            assert (answer.status, answer.one("X-Cache")) == (200, "MISS")
            assert json.loads(answer.body)["matches"]
    finally:
        connection.run("systemctl start redis-cache", sudo=True)
    eventually(lambda: site.json("GET", "/api/health")[1]["status"] == "healthy")


def test_without_the_queue_it_is_unhealthy_and_forgets_no_count(site, connection):
    series = 'http_requests_total{method="GET",route="/api/programs/:id",status="200"}'
    before = metrics(connection).get(series, 0)
    assert connection.run("systemctl stop redis-queue", sudo=True).code == 0
    try:
        eventually(lambda: site.json("GET", "/api/health")[0] == 503)
        body = site.json("GET", "/api/health")[1]
        assert body["status"] == "unhealthy"
        assert body["checks"]["database"] == "ok"
        assert body["checks"]["queue"] != "ok"
        for number in range(1, 6):
            assert site.json("GET", f"/api/programs/{number}")[0] == 200
    finally:
        connection.run("systemctl start redis-queue", sudo=True)
    eventually(lambda: metrics(connection).get(series) == before + 5)


def test_migrations_run_once_directly_and_whole(site, connection, tmp_path):
    pooled = connection.run(MIGRATE.format(port=6432, option=""), sudo=True)
    assert pooled.code == 1
    assert "pooler" in pooled.stderr
    broken = {"migrations/9999_broken.sql": b"CREATE TABLE half (); SELECT 1/0;"}
    said = []
    with pytest.raises(OperationError, match="the migrations failed"):
        operations.deploy(connection, build_release(tmp_path, "broken", broken), said.append)
    assert "9999_broken failed and was rolled back: division by zero" in "\n".join(said)
    assert site("GET", "/").one("X-Connect-Version") == "first"
    state = connection.run(MIGRATE.format(port=5432, option="--status"), sudo=True)
    assert json.loads(state.stdout)["pending"] == []
    half = "runuser -u postgres -- psql -XAtq -d connect -c \"SELECT to_regclass('half')\""
    assert connection.run(f"cd / && {half}", sudo=True).stdout.strip() == ""


def test_a_reload_brings_the_new_release_and_fails_nobody(site, connection, tmp_path):
    package = build_release(tmp_path, "second")
    stopped = False
    numbers = itertools.count(1000)

    def client():
        seen = []
        while not stopped:
            number = next(numbers)
            answer = site("POST", "/api/ledger", {"element": number})
            seen.append((answer.status, answer.one("X-Connect-Version"), number))
            time.sleep(0.05)
        return seen

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(client) for _ in range(4)]
        try:
            operations.deploy(connection, package, print)
            time.sleep(2)
        finally:
            stopped = True
        seen = [one for done in clients for one in done.result()]
    assert {status for status, _, _ in seen} == {201}
    assert {version for _, version, _ in seen} == {"first", "second"}
    kept = site.json("GET", "/api/ledger?from=1000")[1]["elements"]
    assert sorted(number for _, _, number in seen) == kept
