"""A certificate authority that lives with a lab, for hosts that no public one can know.

A server's certificate comes from Let's Encrypt, which must reach the server. A lab's hosts are
reached by nobody, so the lab signs for them; clients of the lab trust this authority and no other.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from connect_infra.targets.lab import authority_file

LIFE = timedelta(days=90)
"""As long as a certificate of Let's Encrypt."""

RENEWAL = timedelta(days=30)
"""Days left at which a new one is made; document A, 7.2, warns below 30."""

AUTHORITY_LIFE = timedelta(days=3650)


@dataclass(frozen=True)
class Issued:
    """A host's certificate, the chain up to the authority, and the key, as PEM."""

    leaf: bytes
    chain: bytes
    key: bytes


def issue(state: Path, domain: str) -> Issued:
    """The lab's certificate for `domain` and `www.domain`: the one in use, or a new one."""
    home = state / "authority"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca_file, ca_key_file = authority_file(state), home / "ca.key"
    if not (ca_file.exists() and ca_key_file.exists()):
        _make_authority(ca_file, ca_key_file)
    leaf_file, key_file = home / f"{domain}.pem", home / f"{domain}.key"
    if not (leaf_file.exists() and key_file.exists() and _is_fresh(leaf_file, ca_file)):
        _make_leaf(domain, leaf_file, key_file, ca_file, ca_key_file)
    leaf = leaf_file.read_bytes()
    return Issued(leaf, leaf + ca_file.read_bytes(), key_file.read_bytes())


def _is_fresh(leaf_file: Path, ca_file: Path) -> bool:
    leaf = x509.load_pem_x509_certificate(leaf_file.read_bytes())
    authority = x509.load_pem_x509_certificate(ca_file.read_bytes())
    ours = leaf.issuer == authority.subject and _signed_by(leaf, authority)
    return ours and leaf.not_valid_after_utc - datetime.now(UTC) > RENEWAL


def _signed_by(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    identifier = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    key = x509.SubjectKeyIdentifier.from_public_key(authority.public_key())
    return identifier.key_identifier == key.digest


def _make_authority(ca_file: Path, key_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "connect-infra lab")])
    certificate = (
        _builder(name, name, key.public_key(), AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(key_file, _pem(key))
    _write(ca_file, certificate.public_bytes(serialization.Encoding.PEM))


def _make_leaf(
    domain: str, leaf_file: Path, key_file: Path, ca_file: Path, ca_key_file: Path
) -> None:
    authority = x509.load_pem_x509_certificate(ca_file.read_bytes())
    ca_key = serialization.load_pem_private_key(ca_key_file.read_bytes(), password=None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(domain), x509.DNSName(f"www.{domain}")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    certificate = (
        _builder(subject, authority.subject, key.public_key(), LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(names, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    _write(key_file, _pem(key))
    _write(leaf_file, certificate.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)  # what an interrupted run left
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    beside.rename(path)
