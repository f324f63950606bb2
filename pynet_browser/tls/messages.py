"""What a TLS message is called by those who debug (RFC 8446, sections 4 and 5.1)."""

from __future__ import annotations

import ssl
from typing import Any

__all__ = ["told"]

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, HEADER, INNER_CONTENT_TYPE = 20, 21, 22, 0x100, 0x101
CHANGE_CIPHER_SPEC_MESSAGE = 0x0101
"""OpenSSL's names for what is none of the protocol's."""


def told(version: int, kind: int, data: bytes) -> tuple[Any, Any, Any]:
    """Version, kind of record and kind of message, as members of the ``ssl`` module's enumerations."""
    names = vars(ssl)
    messages = names["_TLSMessageType"]
    message = -1
    if kind == CHANGE_CIPHER_SPEC:
        message = CHANGE_CIPHER_SPEC_MESSAGE
    elif kind == ALERT:
        message, messages = data[1], names["_TLSAlertType"]
    elif kind in (HANDSHAKE, HEADER, INNER_CONTENT_TYPE):
        message = data[0]
    if kind == HEADER:
        version = int.from_bytes(data[1:3])
        messages = names["_TLSContentType"]
    return (
        _member(ssl.TLSVersion, version),
        _member(names["_TLSContentType"], kind),
        _member(messages, message),
    )


def _member(members: Any, value: int) -> Any:
    try:
        return members(value)
    except ValueError:
        return value
