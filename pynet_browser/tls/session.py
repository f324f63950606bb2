"""``ssl.SSLSession``: what a later connection to the same server may resume."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self

from pynet_browser.tls.engine import engine

__all__ = ["SSLSession"]

OCTETS, INTEGER = 0x04, 0x02
TIME, TIMEOUT, TICKET_LIFETIME, TICKET = 0xA1, 0xA2, 0xA9, 0xAA
"""Tags of the fields in OpenSSL's encoding of a session (its ``ssl_asn1.c``)."""


class SSLSession:
    """A session; equal to another with the same id.

    OpenSSL's bindings tell nothing of a session but its encoding, so what is known of it is read there.
    """

    _context: Any
    _encoded: bytes

    def __new__(cls, *_args: object, **_kwargs: object) -> Self:
        """Only connections make them."""
        raise TypeError(f"cannot create '{cls.__module__}.{cls.__qualname__}' instances")

    @classmethod
    def of(cls, openssl: Any, context: Any) -> SSLSession:
        """The one that pyOpenSSL has, of a context."""
        import ssl

        used = engine()
        pointer = openssl._session
        buffer = used.ffi.new("unsigned char[]", used.lib.i2d_SSL_SESSION(pointer, used.ffi.NULL))
        used.lib.i2d_SSL_SESSION(pointer, used.ffi.new("unsigned char **", buffer))
        made = object.__new__(ssl.SSLSession)
        vars(made).update(_encoded=used.ffi.buffer(buffer)[:], _context=context)
        return made  # type: ignore[return-value]

    def resume(self, connection: Any) -> None:
        """Have a connection of pyOpenSSL's resume a copy: OpenSSL spoils one whose connection is cut off."""
        used = engine()
        buffer = used.ffi.new("unsigned char[]", self._encoded)
        start = used.ffi.new("const unsigned char **", buffer)
        copied = used.lib.d2i_SSL_SESSION(used.ffi.NULL, start, len(self._encoded))
        # pyOpenSSL's method refuses sessions of another of its contexts, and ours are built anew.
        accepted = used.lib.SSL_set_session(connection._ssl, copied)
        used.lib.SSL_SESSION_free(copied)
        if accepted != 1:
            used.lib.ERR_clear_error()
            raise ValueError("this session cannot be resumed")

    @cached_property
    def _fields(self) -> dict[int, bytes]:
        _, body, _ = _element(self._encoded)
        fields: dict[int, bytes] = {}
        octets = []
        while body:
            tag, value, body = _element(body)
            if tag == OCTETS:
                octets.append(value)
            fields.setdefault(tag, value)
        fields[OCTETS] = octets[1]  # the cipher is first, the id second
        return fields

    def _number(self, tag: int) -> int:
        if tag not in self._fields:
            return 0
        return int.from_bytes(_element(self._fields[tag])[1])

    @property
    def id(self) -> bytes:
        """What names it; a ticket of TLS 1.3 has a made-up one."""
        return self._fields[OCTETS]

    @property
    def time(self) -> int:
        """When it began, in seconds since 1970."""
        return self._number(TIME)

    @property
    def timeout(self) -> int:
        """How many seconds it is good for."""
        return self._number(TIMEOUT)

    @property
    def has_ticket(self) -> bool:
        """Whether the server keeps nothing of it (RFC 5077)."""
        return TICKET in self._fields

    @property
    def ticket_lifetime_hint(self) -> int:
        """For how many seconds the server expects to accept the ticket."""
        return self._number(TICKET_LIFETIME)

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag and contents of the first element of DER, and what follows (X.690, section 8.1)."""
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start])
    return tag, data[start : start + length], data[start + length :]
