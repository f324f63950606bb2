"""The client's offer of cipher suites, read on its way in (RFC 8446, section 4.1.2). Pure.

OpenSSL's bindings do not tell a server what its client offered.
"""

from __future__ import annotations

__all__ = ["ClientHello"]

HANDSHAKE = 22
CLIENT_HELLO = 1
RECORD_HEADER, MESSAGE_HEADER = 5, 4
BEFORE_SESSION_ID = 2 + 32
"""Version and random."""

LIMIT = 1 << 16
"""No client has that much to say."""


class ClientHello:
    """Collects the first message of a client.

    Attributes:
        suites: the cipher suites it offers, two bytes each; none before the message is whole.
    """

    def __init__(self) -> None:
        self.suites: list[bytes] = []
        self._records: bytearray | None = bytearray()

    def feed(self, data: bytes) -> None:
        """Take note of what comes in."""
        if self._records is None:
            return
        self._records += data
        message = self._message()
        size = int.from_bytes(message[1:MESSAGE_HEADER]) + MESSAGE_HEADER
        begun = len(message) >= MESSAGE_HEADER
        if (begun and message[0] != CLIENT_HELLO) or len(self._records) > LIMIT:
            self._records = None
        elif begun and size <= len(message):
            self._records = None
            self.suites = _suites(bytes(message[MESSAGE_HEADER:size]))

    def ended(self) -> ClientHello:
        """Nothing more is expected."""
        self._records = None
        return self

    def _message(self) -> bytearray:
        """What the records hold, as far as they are here."""
        found = bytearray()
        rest = memoryview(self._records or b"")
        while len(rest) >= RECORD_HEADER and rest[0] == HANDSHAKE:
            end = RECORD_HEADER + int.from_bytes(rest[3:RECORD_HEADER])
            found += rest[RECORD_HEADER:end]
            rest = rest[end:]
        return found


def _suites(body: bytes) -> list[bytes]:
    start = BEFORE_SESSION_ID
    if len(body) <= start:
        return []
    start += 1 + body[start]
    end = start + 2 + int.from_bytes(body[start : start + 2])
    listed = body[start + 2 : end]
    return [listed[at : at + 2] for at in range(0, len(listed) - 1, 2)]
