"""TLS for a page, as the ``ssl`` module has it: what it asks for, what was agreed on, or why not."""

from __future__ import annotations

import json
import ssl
import tempfile
import warnings
from pathlib import Path

from pynet_browser.frames import Secured, StartTls, Unsecured

__all__ = ["described", "refused", "wanted"]

PIECE = 1 << 15
"""Characters of the certificate's description in one text."""


def wanted(asked: StartTls) -> ssl.SSLContext:
    """A context that does all the page asks for, and trusts nobody else.

    Raises:
        ssl.SSLError: OpenSSL refuses some of it.
        ValueError: it makes no sense.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # it can be told only once the peer is to be verified
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of old versions, which the page asked for
        context.options = ssl.Options(asked.options)
        context.minimum_version = ssl.TLSVersion(_limit(asked.minimum))
        context.maximum_version = ssl.TLSVersion(_limit(asked.maximum))
    if asked.match and not asked.hostname:  # which Python lets pass between buffers, and checks nothing
        raise ValueError("match asks for a hostname")
    context.verify_mode = ssl.VerifyMode(asked.verify)
    context.check_hostname = bool(asked.match)
    context.verify_flags = ssl.VerifyFlags(asked.flags)
    context.hostname_checks_common_name = bool(asked.common)
    context.post_handshake_auth = bool(asked.later)
    if asked.ciphers:
        context.set_ciphers(asked.ciphers)
    if asked.protocols:
        context.set_alpn_protocols(asked.protocols)
    if asked.roots:
        context.load_default_certs()
    if asked.authorities:
        context.load_verify_locations(cadata="\n".join(asked.authorities))
    if asked.identity:
        chain, key, password = asked.identity
        _present(context, chain, key, password)
    return context


def _limit(version: int) -> int:
    """Limits that are none are negative in Python, and large on the wire."""
    return version - (1 << 16) if version >= 1 << 15 else version


def _present(context: ssl.SSLContext, chain: str, key: str, password: str) -> None:
    """Show the page's own certificate. OpenSSL reads it from files alone: nobody else can read these."""
    with tempfile.TemporaryDirectory() as directory:
        paths = Path(directory, "chain"), Path(directory, "key")
        for path, text in zip(paths, (chain, key), strict=True):
            path.touch(mode=0o600)
            path.write_text(text, "utf-8")
        context.load_cert_chain(*paths, password=lambda: password)


def described(request: int, connection: ssl.SSLObject) -> Secured:
    """What was agreed on."""
    cipher, protocol, bits = connection.cipher() or ("", "", 0)
    told = json.dumps(connection.getpeercert() or {})
    return Secured(
        request,
        bits,
        connection.version() or "",
        cipher,
        protocol,
        connection.selected_alpn_protocol() or "",
        tuple(told[at : at + PIECE] for at in range(0, len(told), PIECE)),
        connection.getpeercert(binary_form=True) or b"",
    )


def refused(request: int, error: ssl.SSLError) -> Unsecured:
    """Why there was no agreement, in OpenSSL's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unsecured(request, error.verify_code, "SSL", "CERTIFICATE_VERIFY_FAILED", error.verify_message)
    text = error.strerror or str(error.args[0])
    text = text.partition("] ")[2] or text
    library, reason = (getattr(error, name, None) or "" for name in ("library", "reason"))
    return Unsecured(request, 0, library, reason, text.rpartition(" (_ssl.c")[0] or text)
