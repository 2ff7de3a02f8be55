"""A certificate authority and its certificates (RFC 5280), the same for the same seed.

ECDSA over P-256 with deterministic signatures (RFC 6979); the validity is fixed, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
END = datetime(2049, 12, 31, tzinfo=UTC)
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True)
class Holder:
    """A key and the certificate that says whose it is."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def authority(seed: str, name: str) -> Holder:
    """A CA that signs itself. `seed` is hexadecimal."""
    key, subject = _key(seed), _name(name)
    builder = _builder(seed, subject, subject, key, key)
    builder = builder.add_extension(x509.BasicConstraints(True, 0), True)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    return Holder(key, _sign(builder.add_extension(usage, True), key))


def certificate(ca: Holder, seed: str, domain_name: str, *, end: datetime = END) -> Holder:
    """A certificate for a domain name, signed by a CA."""
    key = _key(seed)
    builder = _builder(seed, _name(domain_name), ca.certificate.subject, key, ca.key, end)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(domain_name)]), False)
    return Holder(key, _sign(builder, ca.key))


def pem(made: x509.Certificate) -> str:
    """A certificate as text."""
    return made.public_bytes(Encoding.PEM).decode()


def key_pem(holder: Holder) -> str:
    """A private key as text."""
    return holder.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def _key(seed: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int(seed, 16) % (P256_ORDER - 1) + 1, ec.SECP256R1())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    seed: str,
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    end: datetime = END,
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(int(seed[:30], 16) + 1)
        .not_valid_before(BEGIN)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
    )


def _sign(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)
