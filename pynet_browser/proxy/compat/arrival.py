"""How much of a WebSocket's messages has come: the library that puts them together does not tell. Pure."""

from __future__ import annotations

__all__ = ["PayloadCounter"]

FIRST_CONTROL = 8
"""Opcodes from here on are of frames that belong to no message (RFC 6455 §5.2)."""

SHORT, MASK = 2, 4
EXTENDED = {126: 2, 127: 8}


class PayloadCounter:
    """Follows the frames of a client in whatever pieces they come, and counts the bytes of its messages.

    What is no frame is counted as one: somebody else tells the client so.
    """

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0
        self._counted = False

    def feed(self, data: bytes) -> int:
        """How many bytes of messages are in these."""
        counted, at = 0, 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                counted += step if self._counted else 0
                self._left -= step
            else:
                step = min(self._missing(), len(data) - at)
                self._head += data[at : at + step]
                if not self._missing():
                    self._begin()
            at += step
        return counted

    def _missing(self) -> int:
        """Bytes that the header lacks, as far as is known."""
        head = self._head
        if len(head) < SHORT:
            return SHORT - len(head)
        masked = MASK if head[1] & 0x80 else 0
        return SHORT + EXTENDED.get(head[1] & 0x7F, 0) + masked - len(head)

    def _begin(self) -> None:
        head = self._head
        size = head[1] & 0x7F
        self._left = int.from_bytes(head[SHORT : SHORT + EXTENDED[size]]) if size in EXTENDED else size
        self._counted = head[0] & 0x0F < FIRST_CONTROL
        head.clear()
