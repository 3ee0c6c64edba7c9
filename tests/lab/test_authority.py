"""The lab's certificate authority: what it signs is what a client of the lab accepts."""

import datetime
import socket
import ssl
import threading

import pytest
from cryptography import x509

from connect_infra.lab import authority
from connect_infra.targets import Target
from connect_infra.web import EVERYTHING, Site

DOMAIN = "connect.example"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A TLS server on this machine with a certificate of a lab's authority, and its client."""
    monkeypatch.setenv("CONNECT_INFRA_STATE", str(tmp_path))
    issued = authority.issue(tmp_path, DOMAIN)
    (tmp_path / "chain").write_bytes(issued.chain)
    (tmp_path / "key").write_bytes(issued.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain", tmp_path / "key")
    context.set_alpn_protocols(["http/1.1"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(client, server_side=True) as secure:
                    secure.recv(4096)
                    secure.sendall(b"HTTP/1.1 204 No Content\r\nX-A: 1\r\nX-A: 2\r\n\r\n")
            except OSError:
                client.close()

    threading.Thread(target=serve, daemon=True).start()
    made = Site(Target(name="here", way="local", lab=True, domain=DOMAIN))
    port = listener.getsockname()[1]
    connect = made.connect
    monkeypatch.setattr(made, "connect", lambda _: connect(port))
    yield made
    listener.close()


def test_the_certificate_is_kept_until_its_last_month(tmp_path, monkeypatch):
    first = authority.issue(tmp_path, DOMAIN)
    assert authority.issue(tmp_path, DOMAIN) == first
    monkeypatch.setattr(authority, "RENEWAL", datetime.timedelta(days=365))
    assert authority.issue(tmp_path, DOMAIN).leaf != first.leaf


def test_another_authority_signs_anew(tmp_path):
    first = authority.issue(tmp_path, DOMAIN)
    authority.authority_file(tmp_path).unlink()
    second = authority.issue(tmp_path, DOMAIN)
    assert second.leaf != first.leaf


def test_both_names_are_in_it_and_files_are_private(tmp_path):
    leaf = x509.load_pem_x509_certificate(authority.issue(tmp_path, DOMAIN).leaf)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [DOMAIN, f"www.{DOMAIN}"]
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "authority").iterdir()}
    assert modes == {0o600}


def test_a_client_of_the_lab_accepts_it(site):
    shaken = site.handshake()
    assert (shaken.version, shaken.protocol) == ("TLSv1.2", "http/1.1")
    assert shaken.session is not None
    assert not shaken.session.has_ticket


def test_what_the_server_refuses_is_a_result(site):
    assert site.handshake(ssl.TLSVersion.TLSv1_3).refusal == "TLSV1_ALERT_PROTOCOL_VERSION"
    rsa_only = "ECDHE-RSA-AES128-GCM-SHA256"
    assert "HANDSHAKE_FAILURE" in site.handshake(ssl.TLSVersion.TLSv1_2, rsa_only).refusal


def test_a_certificate_of_another_name_is_an_error(site):
    site.domain = "other.example"
    with pytest.raises(ssl.SSLCertVerificationError):
        site.handshake(ciphers=EVERYTHING)


def test_repeated_headers_are_all_told(site):
    answer = site.ask("/")
    assert (answer.status, answer.all("X-A"), answer.one("x-a")) == (204, ("1", "2"), "1, 2")
    assert answer.one("missing") == ""
