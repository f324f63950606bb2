"""Frames about TLS that the proxy is to end. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pynet_browser.fields import REST, TEXT, TEXTS, U8, U16, U32, U64, Buffer
from pynet_browser.frames.base import Frame, Kind

__all__ = ["Secured", "StartTls", "Unsecured"]


@dataclass(frozen=True, slots=True)
class StartTls(Frame):
    """Speak TLS, as a client, on the connection of socket ``target``: see docs/protocol.md, "TLS"."""

    target: int
    timeout: int
    minimum: int
    maximum: int
    verify: int
    match: int
    common: int
    roots: int
    later: int
    flags: int
    options: int
    hostname: str
    ciphers: str
    protocols: tuple[str, ...]
    authorities: tuple[str, ...]
    identity: tuple[str, ...]

    KIND = Kind.STARTTLS
    LAYOUT = (
        ("target", U32),
        ("timeout", U32),
        ("minimum", U16),
        ("maximum", U16),
        ("verify", U8),
        ("match", U8),
        ("common", U8),
        ("roots", U8),
        ("later", U8),
        ("flags", U32),
        ("options", U64),
        ("hostname", TEXT),
        ("ciphers", TEXT),
        ("protocols", TEXTS),
        ("authorities", TEXTS),
        ("identity", TEXTS),
    )


@dataclass(frozen=True, slots=True)
class Secured(Frame):
    """Answer to ``StartTls``: what was agreed on. ``details`` are JSON in pieces, ``data`` DER."""

    bits: int
    version: str
    cipher: str
    protocol: str
    alpn: str
    details: tuple[str, ...]
    data: Buffer

    KIND = Kind.SECURED
    LAYOUT = (
        ("bits", U16),
        ("version", TEXT),
        ("cipher", TEXT),
        ("protocol", TEXT),
        ("alpn", TEXT),
        ("details", TEXTS),
        ("data", REST),
    )


@dataclass(frozen=True, slots=True)
class Unsecured(Frame):
    """The other answer to ``StartTls``: no agreement. ``verify`` is OpenSSL's code of a certificate or 0."""

    verify: int
    library: str
    reason: str
    message: str

    KIND = Kind.UNSECURED
    LAYOUT = (("verify", U32), ("library", TEXT), ("reason", TEXT), ("message", TEXT))
