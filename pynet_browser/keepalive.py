"""Whether a carrier is alive, told by the clock. Pure. ``js/keepalive.js`` is its twin."""

from __future__ import annotations

from typing import Literal

__all__ = ["KeepAlive"]


class KeepAlive:
    """Asks for a probe after ``interval`` seconds without a sign of life, gives up after twice that."""

    def __init__(self, interval: float, now: float) -> None:
        self._interval = interval
        self._heard = now
        self._probed = False

    def heard(self, now: float) -> None:
        """Anything at all came from the peer."""
        self._heard = now
        self._probed = False

    @property
    def deadline(self) -> float:
        """When :meth:`tick` has something to say."""
        return self._heard + self._interval * (2 if self._probed else 1)

    def tick(self, now: float) -> Literal["quiet", "probe", "lost"]:
        """What to do now: nothing, send a ping, or give the carrier up."""
        if now < self.deadline:
            return "quiet"
        if self._probed:
            return "lost"
        self._probed = True
        # After a machine slept, both deadlines are over at once: the peer still gets its chance to answer.
        self._heard = max(self._heard, now - self._interval)
        return "probe"
