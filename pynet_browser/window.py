"""Byte windows: how much a peer may send on one socket before somebody has read it. Pure.

``js/window.js`` is its twin.
"""

from __future__ import annotations

import math

from pynet_browser.errors import ProtocolError

__all__ = [
    "WINDOW_INITIAL",
    "WINDOW_MAX",
    "WINDOW_MIN",
    "Budget",
    "ReceiveWindow",
    "SendWindow",
    "busy_within",
]

WINDOW_INITIAL = 256 * 1024
WINDOW_MAX = 16 << 20
WINDOW_MIN = 2048
"""Smallest window that a program may ask for."""

BUSY = 0.25
"""Half a window taken within so many seconds: the window, not the reader, may hold the sender back."""

SLOW = 2.0
"""Half a window taken in more than so many seconds, with something left all the time: it can be smaller."""

CREDIT_MAX = (1 << 32) - 1


def busy_within(round_trip: float) -> float:
    """What ``BUSY`` is where a round trip takes so many seconds.

    No less than two, in which a sender that waits for credit sends all that it has and has it read.
    """
    return max(BUSY, 2 * round_trip)


class Budget:
    """Bytes that the windows of one session may grow by, all together."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, size: int) -> bool:
        """Take ``size`` bytes if they are there."""
        if size > self.left:
            return False
        self.left -= size
        return True

    def give(self, size: int) -> None:
        """Give back what was taken."""
        self.left += size


class SendWindow:
    """What the peer still lets this end send."""

    def __init__(self, credit: int) -> None:
        self.credit = credit

    def sent(self, size: int) -> None:
        """``size`` bytes have left; the caller has made sure that ``credit`` covers them."""
        self.credit -= size

    def opened(self, credit: int) -> None:
        """The peer grants more.

        Raises:
            ProtocolError: more than a window can hold.
        """
        self.credit += credit
        if self.credit > CREDIT_MAX:
            raise ProtocolError(f"window of {self.credit} bytes")


class ReceiveWindow:
    """What this end lets the peer send, and when to let it send more.

    It doubles each time its reader has taken half of it quickly and had nothing left to read on the way, up
    to ``limit`` and as far as ``budget`` allows: a fast reader on a long line ends with a window that keeps
    the line full, a slow one with the memory it had at first. It is halved when its reader takes that half
    slowly and always had something left, down to its first size. One whose size was set stays as it is.
    """

    def __init__(self, budget: Budget, size: int = WINDOW_INITIAL, limit: int = WINDOW_MAX) -> None:
        self.size = size
        self._initial = size
        self._limit = limit
        self._floor = size  # it does not shrink below
        self._budget = budget
        self._charge = 0  # taken from the budget
        self._granted = size
        self._taken = 0  # and not granted again; below zero what a smaller window still has to withhold
        self._drained = False
        self._since = -math.inf

    def received(self, size: int) -> None:
        """``size`` bytes have come in.

        Raises:
            ProtocolError: the peer was not allowed so many.
        """
        if size > self._granted:
            raise ProtocolError(f"{size} bytes came in a window of {self._granted}")
        self._granted -= size

    def consumed(self, size: int, held: int, now: float, busy: float = BUSY) -> int:
        """``size`` bytes were read and ``held`` are left; returns the credit to grant now (0: none yet).

        ``busy`` is what ``busy_within`` says.
        """
        withholding = self._taken < 0
        self._taken += size
        if withholding:
            self._settle()
        self._drained = self._drained or held == 0
        if self._taken * 2 < self.size:
            return 0
        if self._drained:
            change = self._growth(busy=now - self._since < busy)
        else:
            change = -self._shrinkage(slow=now - self._since > SLOW)
        credit = self._taken + change
        self._charge += change
        self.size += change
        self._taken, self._drained, self._since = 0, False, now
        self._granted += credit
        return credit

    def _growth(self, *, busy: bool) -> int:
        """What it grows by, taken from the budget."""
        growth = max(0, min(self.size, self._limit - self.size)) if busy else 0
        return growth if self._budget.take(growth) else 0

    def _shrinkage(self, *, slow: bool) -> int:
        """What it shrinks by, given back to the budget: no more than was taken, and so not granted."""
        shrinkage = min(self.size // 2, self.size - self._floor) if slow else 0
        self._budget.give(shrinkage)
        return shrinkage

    def resize(self, size: int) -> int:
        """Set the size once and for all, as far as the budget goes; returns the credit to grant now.

        What was granted cannot be taken back: a smaller window withholds credit until it has come in.
        """
        size = min(max(size, WINDOW_MIN), WINDOW_MAX, self._initial + self._charge + self._budget.left)
        self._taken += size - self.size
        credit = max(self._taken, 0) if size > self.size else 0
        self.size = self._limit = self._floor = size
        self._taken -= credit
        self._granted += credit
        self._settle()
        return credit

    def close(self) -> None:
        """The socket is gone: give back what the window grew by. It does not grow again."""
        self.size = self._limit = self._initial
        self._taken = max(self._taken, 0)
        self._settle()

    def _settle(self) -> None:
        """Have from the budget what the window, with what it still withholds, has beyond its first size."""
        charge = max(self.size - min(self._taken, 0) - self._initial, 0)
        self._budget.give(self._charge - charge)
        self._charge = charge
