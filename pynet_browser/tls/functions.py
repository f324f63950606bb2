"""The functions of the ``ssl`` module that make contexts and ask for roots."""

from __future__ import annotations

import os
import socket
import ssl
import sys
from typing import Any

from pynet_browser.tls.constants import PROTOCOLS, VERIFY_FLAGS

__all__ = [
    "create_default_context",
    "create_unverified_context",
    "default_verify_paths",
    "get_server_certificate",
]

FILE_VARIABLE, DIRECTORY_VARIABLE = "SSL_CERT_FILE", "SSL_CERT_DIR"

STRICT_SINCE = (3, 13)
"""The Python whose contexts refuse certificates that are not as RFC 5280 has them."""


def create_default_context(
    purpose: Any = ssl.Purpose.SERVER_AUTH, *, cafile: Any = None, capath: Any = None, cadata: Any = None
) -> ssl.SSLContext:
    """A context with the best settings for a client (``Purpose.SERVER_AUTH``) or a server."""
    serves = _serves(purpose)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if serves else ssl.PROTOCOL_TLS_CLIENT)
    if sys.version_info >= STRICT_SINCE:
        context.verify_flags |= VERIFY_FLAGS["VERIFY_X509_PARTIAL_CHAIN"] | VERIFY_FLAGS["VERIFY_X509_STRICT"]
    _trust(context, purpose, cafile, capath, cadata)
    return context


def create_unverified_context(
    protocol: Any = None,
    *,
    cert_reqs: Any = 0,
    check_hostname: bool = False,
    purpose: Any = ssl.Purpose.SERVER_AUTH,
    certfile: Any = None,
    keyfile: Any = None,
    cafile: Any = None,
    capath: Any = None,
    cadata: Any = None,
) -> ssl.SSLContext:
    """What the standard library uses where its users ask for no verification (PEP 476)."""
    serves = _serves(purpose)
    if protocol is None:
        protocol = PROTOCOLS["PROTOCOL_TLS_SERVER" if serves else "PROTOCOL_TLS_CLIENT"]
    context = ssl.SSLContext(protocol)
    context.check_hostname = check_hostname
    if cert_reqs is not None:
        context.verify_mode = cert_reqs
    if keyfile and not certfile:
        raise ValueError("certfile must be specified")
    if certfile or keyfile:
        context.load_cert_chain(certfile, keyfile)
    _trust(context, purpose, cafile, capath, cadata)
    return context


def _serves(purpose: Any) -> bool:
    """Whether it is a server's purpose: by its identifier, since programs may hold the stub's.

    Raises:
        TypeError: it is no purpose.
        ValueError: it is another.
    """
    if not isinstance(purpose, vars(ssl)["_ASN1Object"]):
        raise TypeError(purpose)
    for known in ssl.Purpose:
        if known.oid == purpose.oid:
            return known is ssl.Purpose.CLIENT_AUTH
    raise ValueError(purpose)


def _trust(context: Any, purpose: Any, cafile: Any, capath: Any, cadata: Any) -> None:
    if cafile or capath or cadata:
        context.load_verify_locations(cafile, capath, cadata)
    elif context.verify_mode != ssl.CERT_NONE:
        context.load_default_certs(purpose)
    if (path := os.environ.get("SSLKEYLOGFILE")) and not sys.flags.ignore_environment:
        context.keylog_filename = path


def default_verify_paths() -> tuple[str, str | None, str, str | None]:
    """Where certifi keeps its roots, with the variables that say otherwise, as ``_ssl`` tells them."""
    try:
        import certifi
    except ImportError:
        return FILE_VARIABLE, None, DIRECTORY_VARIABLE, None
    return FILE_VARIABLE, certifi.where(), DIRECTORY_VARIABLE, None


def get_server_certificate(
    addr: Any, ssl_version: Any = 16, ca_certs: Any = None, timeout: Any = None
) -> str:
    """The certificate of the server at this address, in PEM; it is verified only with ``ca_certs``."""
    context = create_unverified_context(
        ssl_version, cert_reqs=ssl.CERT_NONE if ca_certs is None else ssl.CERT_REQUIRED, cafile=ca_certs
    )
    waits = timeout if isinstance(timeout, float | int) else socket.getdefaulttimeout()
    with (
        socket.create_connection(addr, waits) as plain,
        context.wrap_socket(plain, server_hostname=addr[0]) as secured,
    ):
        return ssl.DER_cert_to_PEM_cert(secured.getpeercert(True) or b"")
