"""How late the event loop is: what keeps one page waiting for the others."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from itertools import accumulate

__all__ = ["BOUNDS", "LoopLag"]

INTERVAL = 0.5
"""Seconds between samples: each is one timer."""

BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds that buckets of the histogram reach to."""

RECENT = 120
"""Samples of which the largest is told: those of a minute."""


class LoopLag:
    """Samples how much later than it was due a timer runs.

    Attributes:
        total: seconds of all samples together.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self._counts = [0] * (len(BOUNDS) + 1)
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Sample the loop that runs."""
        self._wait(asyncio.get_running_loop())

    def stop(self) -> None:
        """Sample no more."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def cumulative(self) -> list[int]:
        """How many samples were within each bound, and how many there are."""
        return [*accumulate(self._counts)]

    @property
    def recent_max(self) -> float:
        """The largest of the last minute."""
        return max(self._recent, default=0.0)

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + INTERVAL
        self._timer = loop.call_at(due, self._sample, loop, due)

    def _sample(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        late = max(0.0, loop.time() - due)
        self.total += late
        self._counts[bisect_left(BOUNDS, late)] += 1
        self._recent.append(late)
        self._wait(loop)
