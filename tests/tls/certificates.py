"""Certificates good and bad, made for one run of the tests."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Identity:
    """A key, its certificate, and both in files of PEM."""

    key: Any
    certificate: x509.Certificate
    file: Path

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)


@dataclass(frozen=True)
class Authority:
    """Who vouches for the good ones."""

    folder: Path
    root: Identity
    good: Identity
    rsa: Identity


def make(
    folder: Path,
    title: str,
    *hosts: str,
    issuer: Identity | None = None,
    authority: bool = False,
    kind: str = "ecdsa",
    begins: datetime = NOW - DAY,
    ends: datetime = NOW + DAY,
    password: bytes | None = None,
) -> Identity:
    """A certificate for hosts, names and addresses alike; without an issuer it signs itself."""
    key: Any = (
        ec.generate_private_key(ec.SECP256R1()) if kind == "ecdsa" else rsa.generate_private_key(65537, 2048)
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
    signer = key if issuer is None else issuer.key
    by = name if issuer is None else issuer.certificate.subject
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=authority,
                crl_sign=authority,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if hosts:
        built = built.add_extension(
            x509.SubjectAlternativeName([_general(each) for each in hosts]), critical=False
        )
    certificate = built.sign(signer, hashes.SHA256())
    file = folder / f"{title.replace('*', 'any')}.pem"
    how: Any = serialization.NoEncryption()
    if password is not None:
        how = serialization.BestAvailableEncryption(password)
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    file.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return Identity(key, certificate, file)


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
