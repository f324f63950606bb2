"""OpenSSL, by way of pyOpenSSL, loaded and imported when TLS is first used: it takes most of a second."""

from __future__ import annotations

import functools
import ssl
from dataclasses import dataclass
from typing import Any

from pynet_browser.tls.loading import fetch_on_first_use, is_here

__all__ = ["Engine", "engine", "missing"]

HINT = (
    "in a page, before TLS is used: await pynet_browser.install(…, tls='page'), or "
    "await pyodide_js.loadPackage('cryptography') and await micropip.install('pyopenssl<26.3'); "
    "elsewhere: pip install 'pynet-browser[tls]'"
)

NEEDED = (
    "BIO_get_mem_data",
    "SSL_CIPHER_find",
    "SSL_CTX_clear_mode",
    "SSL_CTX_get0_param",
    "SSL_CTX_set1_curves_list",
    "SSL_CTX_set_msg_callback",
    "SSL_CTX_set_post_handshake_auth",
    "SSL_CTX_set_tlsext_servername_callback",
    "SSL_get0_param",
    "SSL_get_verify_result",
    "SSL_session_reused",
    "SSL_set_session",
    "SSL_verify_client_post_handshake",
    "X509_VERIFY_PARAM_set1_host",
    "X509_VERIFY_PARAM_set1_ip",
    "X509_VERIFY_PARAM_set_flags",
    "X509_VERIFY_PARAM_set_hostflags",
    "X509_verify_cert_error_string",
    "d2i_SSL_SESSION",
    "i2d_SSL_SESSION",
)
"""What pyOpenSSL has no methods for and is asked of its bindings instead."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What there is of OpenSSL.

    Attributes:
        ssl: pyOpenSSL's module of connections.
        crypto: its module of certificates and keys.
        lib: OpenSSL's functions.
        ffi: how they are given memory.
    """

    ssl: Any
    crypto: Any
    lib: Any
    ffi: Any

    @property
    def version(self) -> tuple[str, int, tuple[int, int, int, int, int]]:
        """As a sentence, as a number and in parts (``ssl.OPENSSL_VERSION_INFO``)."""
        number = self.lib.OpenSSL_version_num()
        parts = (number >> 28, number >> 20 & 0xFF, number >> 12 & 0xFF, number >> 4 & 0xFF, number & 0xF)
        return self.ssl.SSLeay_version(self.ssl.SSLEAY_VERSION).decode(), number, parts


@functools.cache
def engine() -> Engine:
    """OpenSSL; it is imported by the first call that succeeds.

    Raises:
        ssl.SSLError: it is not there, or not the one that this package knows; the message says what to load.
    """
    try:
        if not is_here():
            fetch_on_first_use()
        from OpenSSL import SSL, crypto
    except ImportError as error:
        raise missing(str(error)) from error
    lib, ffi = vars(SSL).get("_lib"), vars(SSL).get("_ffi")
    absent = [name for name in NEEDED if not hasattr(lib, name)]
    if absent:
        raise missing(f"this one lacks {', '.join(absent)}")
    found = Engine(SSL, crypto, lib, ffi)
    _announce(found)
    return found


def missing(why: str) -> ssl.SSLError:
    """What is raised where it cannot be had."""
    text = f"TLS needs pyOpenSSL and cryptography: {why}; {HINT}"
    error = ssl.SSLError(ssl.SSLErrorNumber.SSL_ERROR_SSL, text)
    error.library, error.reason = "", ""
    return error


def _announce(found: Engine) -> None:
    """Where the module still tells of a stub, tell of the OpenSSL that is used."""
    from pynet_browser.tls.patch import announce

    announce(*found.version)
