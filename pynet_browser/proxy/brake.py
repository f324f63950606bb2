"""Holds back what would move more bytes in a second than may be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pynet_browser.proxy.limits import Paces

__all__ = ["Brake"]

TURNS_PER_SECOND = 20
"""In how many pieces the bytes of a second go: many sockets have their turns, and none comes in jerks."""

PIECE_MIN, PIECE_MAX = 512, 256 * 1024


class Brake:
    """One direction of one session, or of one foreign client.

    It is asked before something moves and told of what has moved: a piece may go beyond what was left, and
    what comes after it waits for that.

    Args:
        paces: what holds.
    """

    def __init__(self, paces: Paces) -> None:
        self._paces = paces
        self._piece = int(min(max(paces.rate / TURNS_PER_SECOND, PIECE_MIN), PIECE_MAX))
        self._waiting: dict[Callable[[], None], None] = {}  # in their order
        self._timer: asyncio.TimerHandle | None = None

    def within(self, size: int) -> int:
        """How many of so many bytes may move now."""
        return 0 if self._paces.debt(time.monotonic()) else min(size, self._piece)

    def spend(self, size: int) -> None:
        """So many have moved."""
        self._paces.spend(size, time.monotonic())

    def wait(self, go_on: Callable[[], None]) -> None:
        """Call ``go_on`` when it is worth another try."""
        self._waiting[go_on] = None
        if self._timer is None:
            delay = self._paces.debt(time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._let_go)

    async def pause(self, size: int) -> int:
        """Wait until bytes may move; tells how many of so many."""
        while debt := self._paces.debt(time.monotonic()):  # noqa: ASYNC110 - when it ends is known
            await asyncio.sleep(debt)
        return min(size, self._piece)

    def close(self) -> None:
        """Nobody waits any more."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _let_go(self) -> None:
        self._timer = None
        waiting, self._waiting = self._waiting, {}
        for go_on in waiting:
            go_on()
