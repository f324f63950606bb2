"""How fast something may be done. Pure."""

from __future__ import annotations

import math

__all__ = ["Pace", "Paces"]


class Pace:
    """So many a second on average, and so many at once (a token bucket).

    Args:
        rate: how many a second.
        burst: how many may come at once after a pause.

    Attributes:
        rate: how many a second.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self.rate = rate
        self._interval = 1 / rate
        self._lead = burst * self._interval
        self._next = float("-inf")

    @classmethod
    def of(cls, rate: float | None, burst: int | None = None) -> Pace | None:
        """One where there is a rate; without a burst it allows those of a second."""
        return None if rate is None else cls(rate, burst or math.ceil(rate))

    def ahead(self, now: float) -> float:
        """Seconds that the next one would have to wait; it does not count."""
        return max(0.0, max(self._next, now - self._lead) + self._interval - now)

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

    def spend(self, count: int, now: float) -> None:
        """So many are done, whether they may be or not."""
        self._next = max(self._next, now - self._lead) + count * self._interval

    def debt(self, now: float) -> float:
        """Seconds for which there must be no more, since too many were done."""
        return max(0.0, self._next - now)


class Paces:
    """Several that hold together, such as those of one session and of all.

    Args:
        paces: them; None stands for no bound.

    Attributes:
        rate: of the slowest; infinite if there is none.
    """

    def __init__(self, *paces: Pace | None) -> None:
        self._paces = tuple(pace for pace in paces if pace is not None)
        self.rate = min((pace.rate for pace in self._paces), default=math.inf)

    def __bool__(self) -> bool:
        """Whether there is a bound at all."""
        return bool(self._paces)

    def delay(self, now: float, longest: float = math.inf) -> float:
        """Seconds that the next one has to wait; it counts as done then, unless that is too long."""
        ahead = max((pace.ahead(now) for pace in self._paces), default=0.0)
        if ahead < longest:
            for pace in self._paces:
                pace.delay(now)
        return ahead

    def spend(self, count: int, now: float) -> None:
        """So many are done, whether they may be or not."""
        for pace in self._paces:
            pace.spend(count, now)

    def debt(self, now: float) -> float:
        """Seconds for which there must be no more, since too many were done."""
        return max((pace.debt(now) for pace in self._paces), default=0.0)
