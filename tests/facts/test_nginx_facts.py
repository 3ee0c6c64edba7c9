"""Recorded output of nginx, read as facts."""

import json

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import nginx

TWO_FILES = """\
# configuration file /etc/nginx/nginx.conf:
http {
    include conf.d/*.conf;
    server { listen 80; }
}
# configuration file /etc/nginx/conf.d/a.conf:
server { listen 443 ssl; location ~ ^/a(b|c) { return 200 "a b"; } }
"""


@pytest.fixture
def facts(recorded):
    return nginx.parse(recorded("nginx"))


def test_a_directive_by_its_path(facts):
    path = "http > upstream connect_backend > keepalive"
    assert nginx.values(facts.main, path) == (("64",),)
    assert nginx.values(facts.main, "events > worker_connections") == (("8192",),)
    assert nginx.values(facts.main, "events > no_such_thing") == ()


def test_the_right_one_of_several_of_a_name(facts):
    assert nginx.values(facts.server("443"), "add_header[X-Frame-Options]") == (("DENY", "always"),)
    zone = nginx.values(facts.main, "http > limit_req_zone[login_limit]")
    assert zone == (("$binary_remote_addr", "zone=login_limit:10m", "rate=10r/m"),)
    (format_,) = nginx.values(facts.main, "http > log_format[main]")
    assert format_[0].startswith("$remote_addr - ")


def test_a_location_with_a_pattern(facts):
    path = "location ~ ^/api/(auth|login|register) > limit_req"
    found = nginx.values(facts.server("443"), path)
    assert found == (("zone=login_limit", "burst=20", "nodelay"),)


def test_included_files_stand_where_they_are_included():
    main = nginx.configuration(TWO_FILES)
    assert list(nginx.values(main, "http > server > listen")) == [
        ("443", "ssl"),
        ("80",),
    ]
    (answer,) = nginx.find(main, "http > server > location ~ ^/a(b|c) > return")
    assert (answer.args, answer.file) == (("200", "a b"), "/etc/nginx/conf.d/a.conf")


def test_the_workers_and_what_they_have_read(facts):
    assert {worker.user for worker in facts.workers} == {"www-data"}
    assert facts.unloaded_files == ()


def test_a_file_that_is_newer_than_a_worker(recorded):
    outputs = recorded("nginx")
    newer = outputs["files"].stdout + "9999999999.5 /etc/nginx/late.conf\n"
    facts = nginx.parse(recorded("nginx", files=newer))
    assert facts.unloaded_files == ("/etc/nginx/late.conf",)


def test_an_old_worker_that_still_ends_its_requests_does_not_count(recorded):
    processes = json.loads(recorded("nginx")["processes"].stdout)
    leaving = {"title": "nginx: worker process is shutting down", "started": 1.0}
    processes.append({**processes[-1], **leaving})
    facts = nginx.parse(recorded("nginx", processes=json.dumps(processes)))
    assert facts.unloaded_files == ()


def test_no_worker_is_an_error(recorded):
    facts = nginx.parse(recorded("nginx", processes="[]"))
    with pytest.raises(ObservationError, match="running workers"):
        _ = facts.unloaded_files


def test_a_file_that_does_not_parse_is_an_error():
    with pytest.raises(ObservationError, match=r"/etc/nginx/nginx\.conf"):
        nginx.configuration("# configuration file /etc/nginx/nginx.conf:\nhttp { gzip on }\n")


def test_two_servers_on_a_port_are_an_error():
    dump = TWO_FILES.replace("listen 443 ssl", "listen 80")
    facts = nginx.NginxFacts(nginx.configuration(dump), "1.22.1", (), {})
    with pytest.raises(ObservationError, match="2 of them"):
        facts.server("80")
