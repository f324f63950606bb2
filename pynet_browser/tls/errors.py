"""OpenSSL's errors as the ``ssl`` module's exceptions, worded as CPython words them."""

from __future__ import annotations

import re
import ssl
from typing import Any, TypeVar

from pynet_browser.tls.engine import engine

__all__ = ["error", "of_queue", "translated", "want_read", "want_write"]

E = TypeVar("E", bound=ssl.SSLError)

LIBRARIES = {
    "SSL routines": "SSL",
    "PEM routines": "PEM",
    "x509 certificate routines": "X509",
    "X509 V3 routines": "X509V3",
    "asn1 encoding routines": "ASN1",
    "rsa routines": "RSA",
    "elliptic curve routines": "EC",
    "Diffie-Hellman routines": "DH",
    "digital envelope routines": "EVP",
    "Provider routines": "PROV",
    "DECODER routines": "OSSL_DECODER",
    "STORE routines": "OSSL_STORE",
    "configuration file routines": "CONF",
    "common libcrypto routines": "CRYPTO",
    "BIO routines": "BIO",
    "system library": "SYS",
}
"""OpenSSL's names for the parts of itself, and CPython's for the same."""

RENAMED_ALERTS = re.compile("^(SSL/)?TLS_ALERT_")
"""OpenSSL 3.2 renamed the alerts that came with SSL 3; Python keeps their names."""

HOSTNAME_MISMATCH = 62
IP_ADDRESS_MISMATCH = 64
"""X509_V_ERR codes, whose messages say which name was expected."""


def error(kind: type[E], number: int, text: str, library: str = "", reason: str = "") -> E:
    """An exception of the ``ssl`` module with what CPython gives it.

    Args:
        kind: its class.
        number: one of ``ssl.SSLErrorNumber``.
        text: in OpenSSL's words.
        library: the part of OpenSSL.
        reason: OpenSSL's name for it.
    """
    if library:
        text = f"[{library}: {reason}] {text}" if reason else f"[{library}] {text}"
    made = kind(number, text)
    made.library, made.reason = library or None, reason or None  # type: ignore[assignment]
    return made


def want_read() -> ssl.SSLWantReadError:
    """Nothing to read yet."""
    return error(
        ssl.SSLWantReadError, ssl.SSLErrorNumber.SSL_ERROR_WANT_READ, "The operation did not complete (read)"
    )


def want_write() -> ssl.SSLWantWriteError:
    """No room to write yet."""
    return error(
        ssl.SSLWantWriteError,
        ssl.SSLErrorNumber.SSL_ERROR_WANT_WRITE,
        "The operation did not complete (write)",
    )


def of_queue(entries: Any) -> ssl.SSLError:
    """The exception for what OpenSSL's queue of errors held, of which the last one counts.

    Args:
        entries: library, function and reason of each, as pyOpenSSL's exceptions carry them.
    """
    library, reason, text = _last(entries)
    return error(ssl.SSLError, ssl.SSLErrorNumber.SSL_ERROR_SSL, text, library, reason)


def translated(raised: BaseException, connection: Any, hostname: str | None) -> BaseException:
    """The ``ssl`` module's exception for one that pyOpenSSL raised from a connection; others as they are.

    Args:
        raised: the exception.
        connection: pyOpenSSL's, which knows how the peer's certificate was judged.
        hostname: what it was judged by.
    """
    openssl = engine().ssl
    if not isinstance(raised, openssl.Error):
        return raised
    if isinstance(raised, openssl.ZeroReturnError):
        return error(
            ssl.SSLZeroReturnError,
            ssl.SSLErrorNumber.SSL_ERROR_ZERO_RETURN,
            "TLS/SSL connection has been closed (EOF)",
        )
    if isinstance(raised, openssl.SysCallError):  # memory makes no system calls: it ended
        return error(
            ssl.SSLEOFError,
            ssl.SSLErrorNumber.SSL_ERROR_EOF,
            "EOF occurred in violation of protocol",
            "SSL",
            "UNEXPECTED_EOF_WHILE_READING",
        )
    if raised.args and _last(raised.args[0])[1] == "CERTIFICATE_VERIFY_FAILED":
        return _unverified(_last(raised.args[0]), connection, hostname)
    return of_queue(raised.args[0] if raised.args else [])


def _last(entries: Any) -> tuple[str, str, str]:
    """Library and reason of the last error by CPython's names, and the reason in words."""
    if not entries:
        return "", "", "A failure in the SSL library occurred"
    library, _, text = entries[-1]
    name = LIBRARIES.get(library, "")
    if not name or text.endswith(" lib"):  # a reason that every library has, and CPython has no name for
        return name, "", text
    reason = text.upper().replace(" ", "_").replace("-", "_")
    return name, RENAMED_ALERTS.sub("SSLV3_ALERT_", reason), text


def _unverified(last: tuple[str, str, str], connection: Any, hostname: str | None) -> ssl.SSLError:
    used = engine()
    code = used.lib.SSL_get_verify_result(connection._ssl)
    if code == HOSTNAME_MISMATCH:
        message = f"Hostname mismatch, certificate is not valid for '{hostname}'."
    elif code == IP_ADDRESS_MISMATCH:
        message = f"IP address mismatch, certificate is not valid for '{hostname}'."
    else:
        message = used.ffi.string(used.lib.X509_verify_cert_error_string(code)).decode()
    library, reason, text = last
    made = error(
        ssl.SSLCertVerificationError,
        ssl.SSLErrorNumber.SSL_ERROR_SSL,
        f"{text}: {message}",
        library,
        reason,
    )
    made.verify_code, made.verify_message = code, message
    return made
