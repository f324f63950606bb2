"""How much of a WebSocket's messages has come: the library that puts them together does not tell. Pure."""

from __future__ import annotations

__all__ = ["PayloadCounter"]

FIRST_CONTROL = 8
"""Opcodes from here on are of frames that belong to no message (RFC 6455 §5.2)."""

SHORT, MASK = 2, 4
EXTENDED = {126: 2, 127: 8}

HEAD_MAX = 14
"""Bytes that the longest header of a frame has."""


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
        counted, at, end = 0, 0, len(data)
        while at < end:
            if self._left:
                step = min(self._left, end - at)
                counted += step if self._counted else 0
                self._left -= step
            elif not self._head and end - at >= HEAD_MAX:
                step = self._begin(data, at)
            else:
                step = min(self._missing(), end - at)
                self._head += data[at : at + step]
                if not self._missing():
                    self._begin(self._head, 0)
                    self._head.clear()
            at += step
        return counted

    def _missing(self) -> int:
        """Bytes that the header lacks, as far as is known."""
        head = self._head
        return (SHORT if len(head) < SHORT else _size_of_head(head[1])) - len(head)

    def _begin(self, data: bytes | bytearray, at: int) -> int:
        """A frame begins; how long its header is."""
        size = data[at + 1] & 0x7F
        at_size = at + SHORT
        self._left = int.from_bytes(data[at_size : at_size + EXTENDED[size]]) if size in EXTENDED else size
        self._counted = data[at] & 0x0F < FIRST_CONTROL
        return _size_of_head(data[at + 1])


def _size_of_head(second: int) -> int:
    """Bytes of a header with that second byte."""
    return SHORT + EXTENDED.get(second & 0x7F, 0) + (MASK if second & 0x80 else 0)
