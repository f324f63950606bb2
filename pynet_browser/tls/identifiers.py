"""ASN.1 object identifiers and OpenSSL's names and numbers for them (X.660, X.690 section 8.19)."""

from __future__ import annotations

import functools
from typing import Any

from pynet_browser.tls.engine import engine

__all__ = ["Names", "long_name", "nid2obj", "txt2obj"]

Names = tuple[int, str, str, str]
"""OpenSSL's number, its short and its long name, and the identifier in dots."""

UNDEFINED = 0

UTF8 = 0x1000
"""MBSTRING_UTF8"""


def txt2obj(txt: str, name: bool = False) -> Names:
    """Look an identifier up.

    Args:
        txt: in dots.
        name: whether ``txt`` may be one of OpenSSL's names instead.

    Raises:
        ValueError: OpenSSL does not know it.
    """
    dotted = bool(txt) and all(part.isdigit() for part in txt.split("."))
    number = engine().lib.OBJ_txt2nid(txt.encode()) if dotted or name else UNDEFINED
    if number == UNDEFINED:
        raise ValueError(f"unknown object '{txt[:100]}'")
    return _names(number)


def nid2obj(nid: int, /) -> Names:
    """Look OpenSSL's number for an identifier up.

    Raises:
        ValueError: OpenSSL has no such number.
    """
    if nid < UNDEFINED:
        raise ValueError("NID must be positive")
    if nid == UNDEFINED or engine().lib.OBJ_nid2sn(nid) == engine().ffi.NULL:
        engine().lib.ERR_clear_error()
        raise ValueError(f"unknown NID {nid}")
    return _names(nid)


@functools.cache
def long_name(dotted: str) -> str:
    """What ``getpeercert`` calls an attribute; the identifier itself where it has no name."""
    number = engine().lib.OBJ_txt2nid(dotted.encode())
    return _names(number)[2] if number != UNDEFINED else dotted


@functools.cache
def _names(nid: int) -> Names:
    used = engine()
    short, long = (used.ffi.string(find(nid)).decode() for find in (used.lib.OBJ_nid2sn, used.lib.OBJ_nid2ln))
    return nid, short, long, _dotted(used, nid)


def _dotted(used: Any, nid: int) -> str:
    """The identifier of a number: the bindings cannot tell it, but a name that holds it can be encoded."""
    lib, ffi = used.lib, used.ffi
    certificate = ffi.gc(lib.X509_new(), lib.X509_free)
    name = lib.X509_get_subject_name(certificate)
    if lib.X509_NAME_add_entry_by_NID(name, nid, UTF8, b"x", -1, -1, 0) != 1:
        lib.ERR_clear_error()
        return ""
    out = ffi.new("unsigned char **")
    length = lib.i2d_X509_NAME(name, out)
    encoded = ffi.buffer(out[0], length)[:]
    lib.OPENSSL_free(out[0])
    # A sequence of one set of one sequence of the identifier and a value, all short: two bytes of head each.
    start = 6
    return _decoded(encoded[start + 2 : start + 2 + encoded[start + 1]])


def _decoded(body: bytes) -> str:
    arcs, value = [], 0
    for byte in body:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]]))
