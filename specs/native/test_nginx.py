"""Architecture v2.0, 3.5: nginx' main configuration, as it is loaded and as clients meet it."""

import re
import shlex
import uuid

import pytest

from connect_infra.facts import nginx

WORDS = {"words", "set"}
FILES_A_CONNECTION = 2  # the client's and the upstream's


def as_text(control, arguments):
    quoted = control.control.type in WORDS
    return shlex.join(arguments) if quoted else " ".join(arguments)


def is_single(control):
    return not control.id.startswith("nginx.http.include")


@pytest.mark.controls(component="nginx", where=is_single)
def test_nginx_runs_with(control, facts, found):
    arguments = nginx.values(facts.nginx.main, control.key)
    assert found(len(arguments)) == 1, "not set, or more than once"
    assert control.parse(found(as_text(control, arguments[0]))) == control.value


@pytest.mark.controls("nginx.http.include.mime.types", "nginx.http.include.sites")
def test_nginx_includes(control, facts, found):
    included = [" ".join(arguments) for arguments in nginx.values(facts.nginx.main, control.key)]
    assert control.value in [control.parse(text) for text in found(included)]


@pytest.mark.controls(component="nginx")
def test_the_running_workers_have_read_it(control, facts, found):
    late = found(facts.nginx.unloaded_files)
    assert late == (), "nginx runs with older files than those on disk: reload it"


@pytest.mark.controls(component="nginx")
def test_no_option_names_another_file(control, facts, found):
    assert " -c " not in f" {found(facts.nginx.started_with)} ", "nginx was started by hand"


@pytest.mark.controls("nginx.user")
def test_the_workers_are_its_processes(control, facts, found):
    assert found({worker.user for worker in facts.nginx.workers}) == {control.expected}


@pytest.mark.controls("nginx.worker_processes")
def test_there_is_a_worker_a_processor(control, facts, found):
    assert found(len(facts.nginx.workers)) == facts.host.threads


@pytest.mark.controls("nginx.pid")
def test_systemd_knows_the_master_by_its_pid_file(control, facts, found):
    masters = [one.pid for one in facts.nginx.processes if one.title.startswith("nginx: master")]
    assert found(masters) == [facts.units["nginx.service"].pid], "it is not the one master"


@pytest.mark.controls("nginx.events.worker_connections")
def test_a_worker_may_open_files_for_that_many(control, facts, found):
    fewest = min(worker.open_files for worker in facts.nginx.workers)
    assert found(fewest) >= FILES_A_CONNECTION * int(control.value), "open files end before"


@pytest.mark.controls(
    "nginx.http.gzip",
    "nginx.http.gzip_types",
    "nginx.http.gzip_vary",
    "nginx.http.gzip_proxied",
)
def test_what_is_worth_it_comes_compressed(control, kinds, found):
    through_a_proxy = {"Accept-Encoding": "gzip", "Via": "1.1 proxy.example"}
    for kind in ("page", "static"):
        answer = kinds.ask(kind, through_a_proxy)
        media = answer.one("content-type").partition(";")[0]
        got = f"{media}: {answer.one('content-encoding') or 'plain'}, vary {answer.one('vary')}"
        assert found(got) == f"{media}: gzip, vary Accept-Encoding"


@pytest.mark.controls("nginx.http.gzip_types")
def test_what_is_not_listed_comes_as_it_is(control, kinds, found):
    answer = kinds.upload({"Accept-Encoding": "gzip"})
    media = answer.one("content-type")
    assert media not in control.expected.split()
    assert found(f"{media}: {answer.one('content-encoding') or 'plain'}") == f"{media}: plain"


@pytest.mark.controls("nginx.http.log_format[main]", "nginx.http.access_log")
def test_a_request_is_logged_like_that(control, site, as_root, found):
    token = f"connect-infra-{uuid.uuid4()}"
    site.ask(f"/?{token}", headers={"User-Agent": token, "Referer": "https://example.com/"})
    line = as_root(f"grep -F {token} /var/log/nginx/access.log | tail -1")
    assert LOGGED.fullmatch(found(line)), "the line has another format"


LOGGED = re.compile(
    r"[0-9a-f.:]+ - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
    r'"GET /\?connect-infra-[0-9a-f-]{36} HTTP/1\.1" \d{3} \d+ "https://example\.com/" '
    r'"connect-infra-[0-9a-f-]{36}" "-" '
    r'rt=\d+\.\d{3} uct="\d+\.\d{3}" uht="\d+\.\d{3}" urt="\d+\.\d{3}"'
)
"""The documented format, filled in for a request that has no user and came through no proxy."""


@pytest.mark.intrusive
@pytest.mark.controls(
    "nginx.http.upstream_connect_backend.keepalive",
    "nginx.http.upstream_connect_backend.keepalive_requests",
)
def test_connections_to_the_application_are_kept(control, site, as_root, found):
    def opened():
        return set(as_root(CONNECTED).split())

    paths = ("/", "/api/health", "/_next/static/connect-infra", "/uploads/connect-infra")
    for path in paths * 4:
        site.ask(path)
    before = opened()
    for path in paths * 4:
        site.ask(path)
    assert before, "no connection was kept"
    assert found(len(opened() - before)) <= len(paths), "requests open connections of their own"


CONNECTED = "awk '$8 ~ /connect.sock$/ && $6 == \"03\" {print $7}' /proc/net/unix"
"""The accepted connections of the application's socket, by inode."""


@pytest.mark.intrusive
@pytest.mark.controls("nginx.http.limit_req_zone[api_limit]", "nginx.site443[/api/].limit_req")
def test_a_client_gets_100_requests_a_second_and_200_at_once(control, burst, found):
    sent, passed, refused, seconds = burst("/api/health-of-nothing", 420)
    found(f"{passed} of {sent} in {seconds:.2f} s, the others {refused}")
    assert refused == {429}
    assert 201 <= passed <= 201 + 100 * seconds + 1


@pytest.mark.intrusive
@pytest.mark.controls(
    "nginx.http.limit_req_zone[login_limit]", "nginx.site443[/api/auth].limit_req"
)
def test_a_client_gets_10_logins_a_minute_and_20_at_once(control, burst, found):
    sent, passed, refused, seconds = burst("/api/auth/nothing", 30)
    found(f"{passed} of {sent} in {seconds:.2f} s, the others {refused}")
    assert refused == {429}
    assert 21 <= passed <= 21 + seconds / 6 + 1


@pytest.mark.intrusive
@pytest.mark.controls("nginx.http.keepalive_timeout")
def test_an_idle_client_is_kept_for_65_seconds(control, site, found):
    seconds = site.seconds_until_closed(most=80)
    assert abs(found(round(seconds)) - control.value / 1000) < 3
