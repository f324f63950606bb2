"""Where TLS records end (RFC 8446, section 5.1). Pure.

What follows the last record of a connection is not TLS: after ``unwrap`` a program reads it in plain, from
the same socket. So never more is read than what the current record still lacks.
"""

from __future__ import annotations

__all__ = ["Records"]

HEADER = 5
LARGEST = 16384 + 2048
"""Of TLS 1.2, whose records may grow by that much (RFC 5246, section 6.2.3)."""

KINDS = range(20, 25)
"""From change_cipher_spec to heartbeat."""

LOST = 4096


class Records:
    """Follows the records of one direction of a connection."""

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._lost = False

    @property
    def wanted(self) -> int:
        """How many bytes to read next."""
        if self._lost:
            return LOST
        return self._left or HEADER - len(self._header)

    @property
    def complete(self) -> bool:
        """Whether OpenSSL is to see what has come: a whole record, or what cannot be one."""
        return self._lost or not (self._left or self._header)

    def feed(self, data: bytes) -> None:
        """Take note of what was read: no more than was wanted."""
        if self._lost:
            return
        if self._left:
            self._left -= len(data)
            return
        self._header += data
        if len(self._header) < HEADER:
            return
        kind, major, length = self._header[0], self._header[1], int.from_bytes(self._header[3:])
        self._header = b""
        self._left = length
        # OpenSSL is asked at once about what would otherwise be waited for in vain.
        self._lost = kind not in KINDS or major != 3 or length > LARGEST  # noqa: PLR2004 - SSL 3 and TLS
