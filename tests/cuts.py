"""When a relay cuts a connection: at a byte, counted from its start or from the end of the HTTP head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["HANDSHAKE", "Cut", "Meter", "Way"]

Way: TypeAlias = Literal["up", "down"]
"""From the page to the proxy, or back."""

HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A connection passes so many bytes on and not one more: the next breaks it.

    Attributes:
        after: how many bytes.
        way: the direction that is counted; None counts both together.
        behind_head: whether counting begins behind the head of the first HTTP message of that direction,
            which of a WebSocket is its handshake.
        gently: whether both ends are sent a FIN, as a load balancer does that restarts, and not a RST.
    """

    after: int
    way: Way | None = None
    behind_head: bool = False
    gently: bool = False


HANDSHAKE = {
    "before the request": Cut(way="up", after=0),
    "within the request": Cut(way="up", after=60),
    "before the response": Cut(way="down", after=0),
    "within the response": Cut(way="down", after=60),
    "before the greeting": Cut(way="up", after=0, behind_head=True),
    "within the greeting": Cut(way="up", after=40, behind_head=True),
    "before the welcome": Cut(way="down", after=0, behind_head=True),
    "within the welcome": Cut(way="down", after=40, behind_head=True),
}
"""The moments until a WebSocket carries a session."""


class Meter:
    """Counts what a connection has passed on, until its cut is due.

    Attributes:
        gently: how it is cut then.
    """

    def __init__(self, cut: Cut | None) -> None:
        """Without a ``cut`` the connection is left alone."""
        self._cut = cut
        self.gently = cut is not None and cut.gently
        self._left = cut.after if cut else 0
        self._head: bytes | None = b"" if cut and cut.behind_head else None

    def allowed(self, way: Way, data: bytes) -> int:
        """How many bytes of ``data`` may be passed on; if not all, the cut comes behind them."""
        if self._cut is None or self._cut.way not in (way, None):
            return len(data)
        free = self._of_head(data)
        allowed = min(len(data), free + self._left)
        self._left -= allowed - free
        return allowed

    def _of_head(self, data: bytes) -> int:
        """How many bytes of ``data`` belong to the head."""
        if self._head is None:
            return 0
        before = len(self._head)
        self._head += data
        end = self._head.find(HEAD_END)
        if end < 0:
            return len(data)
        self._head = None
        return end + len(HEAD_END) - before
