"""How fast something may be done. Pure."""

from __future__ import annotations

__all__ = ["Pace"]


class Pace:
    """So many a second on average, and so many at once (a token bucket).

    Args:
        rate: how many a second.
        burst: how many may come at once after a pause.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1 / rate
        self._lead = burst * self._interval
        self._next = float("-inf")

    def delay(self, now: float) -> float:
        """Seconds that the next one has to wait; it counts as done then."""
        self._next = max(self._next, now - self._lead) + self._interval
        return max(0.0, self._next - now)

    def allows(self, now: float) -> bool:
        """Whether one may be done now; it counts only then."""
        upcoming = max(self._next, now - self._lead) + self._interval
        if upcoming - now > self._interval / 2:  # half, since fractions add up
            return False
        self._next = upcoming
        return True
