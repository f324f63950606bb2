"""Certificates as ``ssl`` shows them: ``getpeercert()``'s dictionary, DER and PEM (RFC 5280, RFC 7468)."""

from __future__ import annotations

import base64
import re
import warnings
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pynet_browser.tls.engine import engine
from pynet_browser.tls.identifiers import long_name

if TYPE_CHECKING:
    from cryptography import x509

__all__ = [
    "ENCODING_DER",
    "ENCODING_PEM",
    "Certificate",
    "decoded",
    "decoded_file",
    "der_blocks",
    "is_encoded",
    "pem_blocks",
]

ENCODING_PEM = 1
ENCODING_DER = 2

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

CERTIFICATE_LABELS = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
CRL_LABEL = "X509 CRL"

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s*?\n(.*?)-----END \1-----", re.DOTALL)


class Certificate:
    """One certificate of a chain, as ``_ssl.Certificate``: told apart by what it says.

    Attributes:
        der: its encoding.
    """

    der: bytes

    def __new__(cls, *_args: object, **_kwargs: object) -> Self:
        """Only connections make them."""
        raise TypeError(f"cannot create '{cls.__module__}.{cls.__qualname__}' instances")

    @classmethod
    def of(cls, der: bytes) -> Certificate:
        """The one that is encoded so."""
        made = object.__new__(cls)
        made.der = der
        return made

    def public_bytes(self, format: int = ENCODING_PEM, /) -> str | bytes:  # noqa: A002 - CPython's name
        """Its encoding: text for PEM, bytes for DER."""
        if format == ENCODING_DER:
            return self.der
        if format == ENCODING_PEM:
            import ssl

            return ssl.DER_cert_to_PEM_cert(self.der)
        raise ValueError("Unsupported format")

    def get_info(self) -> dict[str, Any]:
        """What ``getpeercert`` tells."""
        return self._info

    @cached_property
    def _info(self) -> dict[str, Any]:
        return decoded(self.der)

    def __repr__(self) -> str:
        from cryptography import x509

        subject = x509.load_der_x509_certificate(self.der).subject.rfc4514_string()
        return f"<_ssl.{type(self).__name__} '{subject}'>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)


def pem_blocks(text: bytes) -> list[tuple[str, bytes]]:
    """Label and whole text of each block, in order; what is between them is no matter."""
    return [(found[1].decode(), found[0] + b"\n") for found in _PEM.finditer(text)]


def is_encoded(block: bytes) -> bool:
    """Whether a block of PEM holds base64 and no more."""
    lines = block.strip().splitlines()[1:-1]
    try:
        base64.b64decode(b"".join(line.strip() for line in lines if b":" not in line), validate=True)
    except ValueError:
        return False
    return True


def decoded_file(path: str) -> dict[str, Any]:
    """What ``getpeercert`` would tell of the first certificate in a file of PEM."""
    found = [block for label, block in pem_blocks(Path(path).read_bytes()) if label in CERTIFICATE_LABELS]
    used = engine()
    certificate = used.crypto.load_certificate(used.crypto.FILETYPE_PEM, found[0])
    return decoded(used.crypto.dump_certificate(used.crypto.FILETYPE_ASN1, certificate))


def decoded(der: bytes) -> dict[str, Any]:
    """What ``getpeercert`` tells of a certificate.

    Raises:
        ValueError: it is none.
    """
    from cryptography import x509

    with warnings.catch_warnings():
        # What OpenSSL has accepted is shown: names and numbers that RFC 5280 forbids are warned of.
        warnings.simplefilter("ignore")
        certificate = x509.load_der_x509_certificate(der)
        told: dict[str, Any] = {
            "subject": _name(certificate.subject),
            "issuer": _name(certificate.issuer),
            "version": certificate.version.value + 1,
            "serialNumber": _hexadecimal(certificate.serial_number),
            "notBefore": _date(certificate.not_valid_before_utc),
            "notAfter": _date(certificate.not_valid_after_utc),
        }
        told |= _extensions(certificate)
    return told


def _name(name: x509.Name) -> tuple[tuple[tuple[str, str], ...], ...]:
    return tuple(
        tuple((long_name(each.oid.dotted_string), _text(each.value)) for each in part) for part in name.rdns
    )


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _hexadecimal(number: int) -> str:
    digits = f"{abs(number):X}"
    return ("-" if number < 0 else "") + "0" * (len(digits) % 2) + digits


def _date(when: datetime) -> str:
    return f"{MONTHS[when.month - 1]} {when.day:2} {when:%H:%M:%S} {when.year:04} GMT"


def _extensions(certificate: x509.Certificate) -> dict[str, Any]:
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    told: dict[str, Any] = {}
    kinds = (x509.SubjectAlternativeName, x509.AuthorityInformationAccess, x509.CRLDistributionPoints)
    for kind in kinds:
        try:
            value = certificate.extensions.get_extension_for_class(kind).value
        except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
            continue  # not there, or not as RFC 5280 has it
        if isinstance(value, x509.SubjectAlternativeName):
            told["subjectAltName"] = tuple(_general_name(each) for each in value)
        elif isinstance(value, x509.AuthorityInformationAccess):
            for key, method in (
                ("OCSP", AuthorityInformationAccessOID.OCSP),
                ("caIssuers", AuthorityInformationAccessOID.CA_ISSUERS),
            ):
                told[key] = _uris(each.access_location for each in value if each.access_method == method)
        elif isinstance(value, x509.CRLDistributionPoints):
            told["crlDistributionPoints"] = _uris(name for each in value for name in each.full_name or ())
    return {key: value for key, value in told.items() if value}


def _uris(names: Any) -> tuple[str, ...]:
    from cryptography import x509

    return tuple(name.value for name in names if isinstance(name, x509.UniformResourceIdentifier))


def _general_name(name: x509.GeneralName) -> tuple[str, Any]:
    from cryptography import x509

    match name:
        case x509.DNSName():
            return "DNS", name.value
        case x509.RFC822Name():
            return "email", name.value
        case x509.UniformResourceIdentifier():
            return "URI", name.value
        case x509.DirectoryName():
            return "DirName", _name(name.value)
        case x509.RegisteredID():
            return "Registered ID", name.value.dotted_string
        case x509.IPAddress():
            return "IP Address", _address(name.value)
    return "othername", "<unsupported>"


def _address(address: Any) -> str:
    """As OpenSSL prints it: an IPv6 address with all its groups, and none with leading zeros."""
    if address.version == 4:  # noqa: PLR2004
        return str(address)
    return ":".join(f"{int(group, 16):X}" for group in address.exploded.split(":"))


def der_blocks(data: bytes) -> list[bytes]:
    """The certificates that follow each other in DER.

    Raises:
        ValueError: the last one is cut off, or it is none.
    """
    found = []
    while data:
        length = _der_length(data)
        found.append(data[:length])
        data = data[length:]
    return found


def _der_length(data: bytes) -> int:
    """Of the sequence that begins here, with its head (X.690, section 8.1.3)."""
    if len(data) < 2 or data[0] != 0x30:  # noqa: PLR2004 - SEQUENCE
        raise ValueError("not enough data")
    head, length = 2, data[1]
    if length & 0x80:
        head += length & 0x7F
        length = int.from_bytes(data[2:head])
    if len(data) < head + length:
        raise ValueError("not enough data")
    return head + length
