"""Notices that a host which has ended answers data with a reset: nothing reads any more, and meets it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence

__all__ = ["ResetWatch"]

LOOKS = (0.01, 0.1, 1.0)
"""Seconds behind data at which to look."""


class ResetWatch:
    """Looks after one connection."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def begin(
        self, transport: asyncio.Transport, matters: Callable[[], bool], looks: Sequence[float] = LOOKS
    ) -> None:
        """Data has gone out; a connection that was reset is aborted, if that still ``matters`` then."""
        self.stop()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(looks[0], self._look, transport, matters, looks[1:])

    def stop(self) -> None:
        """Look no more."""
        if self._timer:
            self._timer.cancel()

    def _look(self, transport: asyncio.Transport, matters: Callable[[], bool], more: Sequence[float]) -> None:
        self._timer = None
        if not matters():
            return
        if transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            transport.abort()
        elif more:
            self.begin(transport, matters, more)
