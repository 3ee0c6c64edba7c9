"""Architecture v2.0, 3.5: the site on port 443, as it is loaded and as clients meet it."""

import datetime
import shlex
import ssl
import uuid

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from connect_infra.facts import nginx
from connect_infra.web import EVERYTHING

WORDS = {"words", "set"}
PORT = 443
SERVER = "nginx.site443."
DAYS_LEFT = 30  # document A, 7.2, warns below
LIMIT = 100 * 1024 * 1024
KINDS = ("page", "api", "error page", "api error", "static", "missing static", "missing upload")
VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")


def is_header_of_the_server(control):
    return control.id.startswith(f"{SERVER}add_header[")


def header_name(control):
    return control.key.partition("[")[2].rstrip("]")


@pytest.mark.controls(component="nginx-site-https")
def test_the_site_has(control, facts, found):
    path = control.key.removeprefix("server > ")
    quoted = control.control.type in WORDS
    texts = [
        shlex.join(arguments) if quoted else " ".join(arguments)
        for arguments in nginx.values(facts.nginx.server(str(PORT)), path)
    ]
    assert control.value in [control.parse(text) for text in found(texts)]


@pytest.mark.controls(component="nginx-site-https")
def test_the_running_workers_have_read_it(control, facts, found):
    late = found(facts.nginx.unloaded_files)
    assert late == (), "nginx runs with older files than those on disk: reload it"


@pytest.mark.controls("nginx.site443.listen4", "nginx.site443.listen6")
def test_nginx_listens_on_every_address(control, facts, found):
    address = "::" if control.id.endswith("6") else "0.0.0.0"
    sockets = {one.address: one for one in facts.host.listeners(PORT)}
    assert address in found(set(sockets))
    assert {name for name, _ in sockets[address].processes} == {"nginx"}


@pytest.mark.controls("nginx.site443.listen4", "nginx.site443.listen6")
def test_clients_get_http_2(control, site, found):
    handshake = site.handshake(protocol="h2")
    assert found(handshake.protocol or handshake.refusal) == "h2"


@pytest.mark.controls("nginx.site443.server_name", "nginx.site443.ssl_certificate")
def test_clients_trust_the_certificate_and_find_both_names_in_it(control, site, found):
    certificate = x509.load_der_x509_certificate(site.handshake().certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {site.domain, f"www.{site.domain}"} <= found(
        set(names.get_values_for_type(x509.DNSName))
    )


@pytest.mark.controls("nginx.site443.ssl_certificate")
def test_the_certificate_lasts_for_a_month(control, site, found):
    certificate = x509.load_der_x509_certificate(site.handshake().certificate)
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert found(left.days) >= DAYS_LEFT, "days left"


@pytest.mark.controls("nginx.site443.ssl_certificate")
def test_clients_get_the_certificate_that_is_on_disk(control, site, as_root, found):
    pem = as_root(f"openssl x509 -in {control.expected}")
    on_disk = x509.load_pem_x509_certificate(pem.encode())
    served = x509.load_der_x509_certificate(site.handshake().certificate)
    assert found(served.serial_number) == on_disk.serial_number, "nginx has an older one: reload it"


@pytest.mark.controls("nginx.site443.ssl_certificate_key")
def test_only_root_reads_the_key(control, as_root, found):
    assert found(as_root(f"stat -L -c '%a %U' {control.expected}")) in {"600 root", "400 root"}


@pytest.mark.controls("nginx.site443.ssl_protocols")
def test_clients_get_these_versions_and_no_other(control, site, found):
    results = {}
    for name, version in VERSIONS.items():
        ciphers = None if name == "TLSv1.3" else EVERYTHING
        results[name] = site.handshake(version, ciphers)
    offered = {name for name, result in results.items() if result.version == name}
    assert found(offered) == control.value
    refusals = {results[name].refusal for name in VERSIONS if name not in offered}
    assert refusals == {"TLSV1_ALERT_PROTOCOL_VERSION"}, "it is not the version that was refused"


@pytest.mark.controls("nginx.site443.ssl_ciphers")
def test_clients_get_these_ciphers_and_no_other(control, site, found):
    """A certificate has one kind of key, so the documented suites of the other kind can't be had.

    TLS 1.3 has suites of its own, which this setting does not govern.
    """
    offered = []
    while True:
        rest = ":".join([EVERYTHING, *(f"!{cipher}" for cipher in offered)])
        result = site.handshake(ssl.TLSVersion.TLSv1_2, rest)
        if not result.version:
            break
        assert result.cipher not in offered
        offered.append(result.cipher)
    certificate = x509.load_der_x509_certificate(site.handshake().certificate)
    kind = "ECDSA" if isinstance(certificate.public_key(), ec.EllipticCurvePublicKey) else "RSA"
    documented = {name for name in control.expected.split(":") if f"-{kind}-" in name}
    assert set(found(sorted(offered))) == documented


@pytest.mark.controls("nginx.site443.ssl_prefer_server_ciphers")
def test_the_client_chooses_the_cipher(control, site, expectations, found):
    kind = "ECDSA" if "ECDSA" in site.handshake(ssl.TLSVersion.TLSv1_2).cipher else "RSA"
    ours = [
        name
        for name in expectations["nginx.site443.ssl_ciphers"].expected.split(":")
        if f"-{kind}-" in name
    ]
    for first, second in (ours, reversed(ours)):
        chosen = site.handshake(ssl.TLSVersion.TLSv1_2, f"{first}:{second}").cipher
        assert found(chosen) == first


@pytest.mark.controls("nginx.site443.ssl_session_tickets")
def test_no_ticket_is_given(control, site, found):
    session = site.handshake(ssl.TLSVersion.TLSv1_2).session
    assert session is not None
    assert not found(session.has_ticket)


@pytest.mark.controls("nginx.site443.ssl_session_cache", "nginx.site443.ssl_session_timeout")
def test_a_client_that_returns_resumes_its_session(control, site, facts, found):
    client = site.context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    first = site.shake(client)
    returns = [site.shake(client, first.session).reused for _ in facts.nginx.workers]
    assert found(returns) == [True for _ in returns], "the workers don't share their sessions"


@pytest.mark.controls(component="nginx-site-https", where=is_header_of_the_server)
def test_every_kind_of_answer_has_the_header_once(control, kinds, found):
    value, always = control.value
    assert always == "always"
    wrong = {}
    for kind in KINDS:
        values = kinds.ask(kind).all(header_name(control))
        if values != (value,):
            wrong[kind] = " and ".join(values) or "missing"
    found("; ".join(f"{kind}: {got}" for kind, got in wrong.items()) or value)
    assert not wrong


@pytest.mark.controls(component="nginx-site-https", where=is_header_of_the_server)
def test_an_upload_has_the_header_once(control, kinds, found):
    values = kinds.upload().all(header_name(control))
    assert found(values) == (control.value[0],)


@pytest.mark.controls(
    "nginx.site443[/_next/static/].expires",
    "nginx.site443[/_next/static/].add_header[Cache-Control]",
    "nginx.site443[/_next/static/].add_header[X-Cache-Status]",
)
def test_static_files_are_kept_by_clients_for_a_year(control, kinds, found):
    answer = kinds.ask("static")
    got = answer.all("cache-control"), answer.all("x-cache-status")
    assert found(got) == (("max-age=31536000", "public, immutable"), ("STATIC",))


@pytest.mark.controls(
    "nginx.site443[/uploads/].expires", "nginx.site443[/uploads/].add_header[Cache-Control]"
)
def test_uploads_are_kept_by_clients_for_30_days(control, kinds, found):
    assert found(kinds.upload().all("cache-control")) == ("max-age=2592000", "public")


@pytest.mark.controls(
    "nginx.site443[=/api/health].proxy_pass",
    "nginx.site443[/api/].proxy_pass",
    "nginx.site443[/_next/static/].proxy_pass",
    "nginx.site443[/].proxy_pass",
)
def test_the_application_answers(control, kinds, found):
    kind = {"=/api/health": "api", "/api/": "api error", "/": "page"}
    where = control.id.partition("[")[2].partition("]")[0]
    answer = kinds.ask(kind.get(where, "static"))
    expected = 404 if where == "/api/" else 200
    assert found(answer.status) == expected


@pytest.mark.controls("nginx.site443[=/api/health].access_log")
def test_health_checks_are_not_logged(control, site, as_root, found):
    token = f"connect-infra-{uuid.uuid4()}"
    site.ask(f"/api/health?{token}")
    count = as_root(f"grep -c {token} /var/log/nginx/access.log || true")
    assert found(count) == "0"


@pytest.mark.intrusive
@pytest.mark.controls("nginx.site443[/].client_max_body_size")
def test_100_megabytes_may_be_sent_and_not_a_byte_more(control, site, found):
    assert found(site.announce("/upload", LIMIT)) == 100, "the server does not ask for the body"
    assert found(site.announce("/upload", LIMIT + 1)) == 413


@pytest.mark.intrusive
@pytest.mark.controls(
    "nginx.site443[/].proxy_read_timeout", "nginx.site443[/api/].proxy_read_timeout"
)
def test_a_client_waits_a_minute_for_an_application_that_hangs(control, waited, found):
    status, seconds = waited["/api/programs" if "/api/" in control.id else "/"]
    assert found(status) == 504
    assert abs(found(seconds) - control.value / 1000) < 3
