"""Which certificates a context trusts, and which it knows to be revoked."""

from __future__ import annotations

import functools
import os
import ssl
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pynet_browser.tls.certificates import CERTIFICATE_LABELS, CRL_LABEL, der_blocks, is_encoded, pem_blocks
from pynet_browser.tls.engine import engine
from pynet_browser.tls.errors import error, of_queue

__all__ = ["Trust"]

Loaded = tuple[tuple[tuple[Any, bytes], ...], tuple[Any, ...]]
"""Certificates, each as pyOpenSSL has it and in DER, and lists of revoked ones."""


class Trust:
    """What was loaded, in order, and no certificate twice."""

    def __init__(self) -> None:
        self._unread: list[Callable[[], Loaded]] = []
        self._certificates: dict[bytes, Any] = {}
        self._revoked: list[Any] = []
        self._directories: list[str] = []
        self._roots = False
        self._told: list[str] = []
        self.has_revoked = False

    @property
    def has_directories(self) -> bool:
        """Whether some of it is looked up when it is needed."""
        return bool(self._directories)

    def told(self) -> tuple[bool, list[str]]:
        """What was asked for, not read: whether the usual roots, and certificates in PEM."""
        file = os.environ.get("SSL_CERT_FILE") if self._roots else None
        if not file:
            return self._roots, self._told
        return False, [*self._told, *_certificates(Path(file).read_bytes())]

    def _hear(self, text: bytes) -> None:
        self._told.extend(_certificates(text))
        self.has_revoked |= any(label == CRL_LABEL for label, _ in pem_blocks(text))

    def add_file(self, path: Any) -> None:
        """Trust the certificates in a file of PEM.

        Raises:
            OSError: it cannot be read.
            ssl.SSLError: it holds none.
        """
        text = Path(os.fsdecode(path)).read_bytes()
        blocks = [block for label, block in pem_blocks(text) if label in (*CERTIFICATE_LABELS, CRL_LABEL)]
        if not blocks:
            raise _x509("no certificate or crl found", "NO_CERTIFICATE_OR_CRL_FOUND")
        if not all(map(is_encoded, blocks)):
            raise _x509("PEM lib")
        self._hear(text)
        self._unread.append(partial(_parsed, text))

    def add_directory(self, path: Any) -> None:
        """Trust the certificates in a directory whose files have OpenSSL's hashes for names."""
        self._directories.append(os.fsdecode(path))

    def add_data(self, data: str | bytes) -> None:
        """Trust certificates in PEM (text) or DER (bytes).

        Raises:
            ssl.SSLError: there are none.
        """
        if isinstance(data, bytes):
            blocks = _split(data)
            self._told.extend(map(ssl.DER_cert_to_PEM_cert, blocks))
            self._unread.append(partial(_parsed_der, blocks))
            return
        text = data.encode("ascii")
        if not any(label in CERTIFICATE_LABELS for label, _ in pem_blocks(text)):
            raise error(
                ssl.SSLError,
                ssl.SSLErrorNumber.SSL_ERROR_SSL,
                "no start line: cadata does not contain a certificate",
                "PEM",
                "NO_START_LINE",
            )
        self._hear(text)
        self._unread.append(partial(_parsed, text))

    def add_roots(self) -> None:
        """Trust what programs on this machine trust, or in a page what certifi does."""
        paths = ssl.get_default_verify_paths()
        self._roots = True
        if paths.cafile:
            self._unread.append(partial(_parsed_file, paths.cafile))
        if paths.capath:
            self._directories.append(paths.capath)

    def install(self, store: Any, *, needed: bool) -> None:
        """Fill the store of a new context.

        Args:
            store: pyOpenSSL's.
            needed: whether there must be anything in it.

        Raises:
            ssl.SSLError: the usual roots are wanted, and there are none.
        """
        self._read()
        if needed and self._roots and not self._certificates and not self._directories:
            raise error(
                ssl.SSLError,
                ssl.SSLErrorNumber.SSL_ERROR_SSL,
                "there are no root certificates: await micropip.install('certifi') in a page, set "
                "SSL_CERT_FILE, or load your own with SSLContext.load_verify_locations",
            )
        for certificate in self._certificates.values():
            store.add_cert(certificate)
        for revoked in self._revoked:
            store.add_crl(revoked)
        for directory in self._directories:
            store.load_locations(None, directory)

    def statistics(self) -> dict[str, int]:
        """How many there are of each kind."""
        self._read()
        authorities = sum(_is_authority(der) for der in self._certificates)
        return {"x509": len(self._certificates), "crl": len(self._revoked), "x509_ca": authorities}

    def authorities(self) -> list[bytes]:
        """Those that may vouch for others, in DER."""
        self._read()
        return [der for der in self._certificates if _is_authority(der)]

    def note(self, der: bytes) -> None:
        """This one was found in a directory."""
        if self._directories and der not in self._certificates:
            self._add(*_parsed_der((der,)))

    def _add(self, certificates: Any, revoked: Any) -> None:
        for certificate, der in certificates:
            self._certificates.setdefault(der, certificate)
        self._revoked.extend(revoked)

    def _read(self) -> None:
        """What was promised when it was loaded: no program pays for certificates that it never needs."""
        unread, self._unread = self._unread, []
        for parse in unread:
            self._add(*parse())


def _certificates(text: bytes) -> list[str]:
    return [block.decode("ascii") for label, block in pem_blocks(text) if label in CERTIFICATE_LABELS]


@functools.lru_cache(maxsize=8)
def _parsed(text: bytes) -> Loaded:
    """What is in PEM; the roots of every context are parsed once, which takes 40 ms in a page."""
    used = engine()
    certificates: list[tuple[Any, bytes]] = []
    revoked: list[Any] = []
    for label, block in pem_blocks(text):
        try:
            if label in CERTIFICATE_LABELS:
                certificate = used.crypto.load_certificate(used.crypto.FILETYPE_PEM, block)
                certificates.append((certificate, _der(certificate)))
            elif label == CRL_LABEL:
                from cryptography.x509 import load_pem_x509_crl

                revoked.append(load_pem_x509_crl(block))
        except (used.crypto.Error, ValueError):
            used.lib.ERR_clear_error()
            raise _x509("PEM lib") from None
    return tuple(certificates), tuple(revoked)


def _parsed_file(path: str) -> Loaded:
    return _parsed(Path(path).read_bytes())


def _split(data: bytes) -> tuple[bytes, ...]:
    try:
        return tuple(der_blocks(data))
    except ValueError as wrong:
        raise error(
            ssl.SSLError,
            ssl.SSLErrorNumber.SSL_ERROR_SSL,
            f"{wrong}: cadata does not contain a certificate",
            "ASN1",
            "NOT_ENOUGH_DATA",
        ) from None


def _parsed_der(blocks: tuple[bytes, ...]) -> Loaded:
    used = engine()
    try:
        return tuple(
            (used.crypto.load_certificate(used.crypto.FILETYPE_ASN1, each), each) for each in blocks
        ), ()
    except used.crypto.Error as wrong:
        raise of_queue(wrong.args[0]) from None


def _der(certificate: Any) -> bytes:
    crypto = engine().crypto
    der: bytes = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
    return der


@functools.lru_cache(maxsize=1024)
def _is_authority(der: bytes) -> bool:
    """Whether it may vouch for others, as OpenSSL judges: those of version 1 that sign themselves may too."""
    from cryptography import x509

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some old roots are not as RFC 5280 has them
        certificate = x509.load_der_x509_certificate(der)
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.version is x509.Version.v1 and certificate.subject == certificate.issuer


def _x509(text: str, reason: str = "") -> ssl.SSLError:
    return error(ssl.SSLError, ssl.SSLErrorNumber.SSL_ERROR_SSL, text, "X509", reason)
