"""What the documented text of nginx does on a real host, one test an erratum.

Each test takes away what this project adds, so that only the documented text is in force.
"""

import time
from contextlib import contextmanager

import pytest

from tests.lab.shell import sh

pytestmark = pytest.mark.long  # minutes on two cores; `make proofs` runs it

SITE = "/etc/nginx/sites-available/connect"
MAIN = "/etc/nginx/nginx.conf"
ASK = "curl -sk -o /dev/null -w '%{http_code}\\n' -H Host:your-domain.com"
STATIC = "https://127.0.0.1/_next/static/app.css"
KEPT = "awk '$8 ~ /connect.sock$/ && $6 == \"03\" {print $7}' /proc/net/unix"
"""The application's accepted connections, by inode."""


@contextmanager
def documented(host, path, *expressions):
    """A file without what was added to it, while the block runs."""
    edits = " ".join(f"-e '{expression}'" for expression in expressions)
    sh(host, f"cp -p {path} /root/kept; sed -i {edits} {path}; ! cmp -s {path} /root/kept")
    try:
        sh(host, "systemctl reload nginx; sleep 1")
        yield
    finally:
        sh(host, f"cp -p /root/kept {path}; systemctl reload nginx; sleep 1")


def headers_of(host, url):
    return sh(host, f"curl -skI -H Host:your-domain.com {url}").lower()


def test_add_header_in_a_location_drops_the_servers_headers(host):
    assert "x-frame-options: deny" in headers_of(host, STATIC)
    with documented(host, SITE, "/include .*security-headers/d"):
        assert "x-frame-options: deny" in headers_of(host, "https://127.0.0.1/api/health")
        static = headers_of(host, STATIC)
    assert "x-cache-status: static" in static
    assert "x-frame-options" not in static
    assert "strict-transport-security" not in static


def test_workers_open_1024_files_for_8192_connections(host):
    limit = "grep 'open files' /proc/$(pgrep -f 'nginx: worker process$' | tail -1)/limits"
    assert "20000" in sh(host, limit)
    with documented(host, MAIN, "/worker_rlimit_nofile/d"):
        assert sh(host, limit).split()[3] == "1024"


def test_too_many_requests_look_like_a_broken_server(host):
    login = f"{ASK} https://127.0.0.1/api/login/nothing"
    flood = f"for request in $(seq 30); do {login}; done | sort | uniq -c"
    with documented(host, MAIN, "/limit_req_status/d"):
        assert " 503" in sh(host, flood)
    assert " 429" in sh(host, flood)


def test_connection_upgrade_keeps_the_connections(host):
    get = f"{ASK} https://127.0.0.1/api/programs/1"
    before = sh(host, f"for request in $(seq 10); do {get}; done >/dev/null; sleep 0.3; {KEPT}")
    after = sh(host, f"for request in $(seq 20); do {get}; done >/dev/null; sleep 0.3; {KEPT}")
    assert before
    assert len(set(after.split()) - set(before.split())) <= 1


def test_static_files_and_logins_close_the_kept_connections(host):
    warm = f"for request in $(seq 10); do {ASK} https://127.0.0.1/api/programs/1; done >/dev/null"
    static = f"for request in $(seq 10); do {ASK} {STATIC}; done >/dev/null; sleep 0.3; {KEPT}"
    assert sh(host, f"{warm}; {static}")
    with documented(host, SITE, "/_next.static/,/}/{/proxy_http_version/d;/Connection/d}"):
        assert sh(host, f"{warm}; sleep 0.3; {KEPT}")
        assert sh(host, static) == "", "a connection is still open"


def test_a_host_without_ipv6_has_no_nginx(host):
    # What a kernel without IPv6 answers, for one process.
    without = "systemd-run --wait --pipe -q -p RestrictAddressFamilies='AF_INET AF_UNIX AF_NETLINK'"
    code, said = host.exec(f"{without} nginx -t")
    assert code != 0
    assert "[::]:80 failed (97: Address family not supported by protocol)" in said
    assert host.exec("nginx -t")[0] == 0


def test_a_killed_nginx_stays_down(host):
    drop_in = "/etc/systemd/system/nginx.service.d/connect.conf"
    try:
        sh(host, f"mv {drop_in} /root/kept.conf; systemctl daemon-reload")
        sh(host, "kill -KILL $(cat /run/nginx.pid); sleep 3")
        assert host.exec("systemctl is-active nginx")[1].strip() == "failed"
        assert host.exec(f"{ASK} https://127.0.0.1/")[1].strip() == "000"
    finally:
        sh(host, f"mv /root/kept.conf {drop_in}; systemctl daemon-reload")
        sh(host, "systemctl restart nginx")
    sh(host, "kill -KILL $(cat /run/nginx.pid)")
    deadline = time.monotonic() + 20
    while host.exec(f"{ASK} https://127.0.0.1/")[1].strip() != "200":
        assert time.monotonic() < deadline, "nginx stays down"
        time.sleep(0.3)


@pytest.mark.parametrize("port", ["80", "443"])
def test_no_documented_server_has_the_exporters_status(host, port):
    scheme = {"80": "http", "443": "https"}[port]
    assert sh(host, f"{ASK} {scheme}://127.0.0.1/stub_status") in {"301", "404"}
    assert "Active connections" in sh(host, "curl -s http://127.0.0.1:8080/stub_status")


def test_the_documented_certificate_offers_half_of_the_ciphers(host):
    offer = "openssl s_client -connect 127.0.0.1:443 -servername your-domain.com -tls1_2 -cipher {}"
    for cipher, works in (
        ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ("ECDHE-RSA-AES128-GCM-SHA256", False),
    ):
        code, _ = host.exec(f"{offer.format(cipher)} </dev/null")
        assert (code == 0) is works, cipher


def test_the_redirect_has_no_security_header(host):
    redirect = "http://127.0.0.1/programs"
    assert "x-frame-options: deny" in headers_of(host, redirect)
    with documented(host, SITE, "1,/listen 443/{/add_header/d}"):
        bare = headers_of(host, redirect)
    assert bare.startswith("http/1.1 301")
    assert "x-frame-options" not in bare
    assert "strict-transport-security" not in headers_of(host, redirect)
