"""Rooms in which two meet, and say what it takes to have a connection of their own. Pure.

A room is there as long as somebody is in it. Nobody is told which there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pynet_browser.proxy.limits import Pace
from pynet_browser.signalling import Kind, encode_event

__all__ = ["STOPPED", "Bounds", "Rooms", "Seat"]

UNTAKEN = 4
"""Messages of the greatest size that may wait for one who does not take them."""

POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013
TIMED_OUT, FULL = 4408, 4409
"""Close codes (RFC 6455 §7.4); those of the private range are after the HTTP codes of like meaning."""

STOPPED = 1001, "the proxy was stopped"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much rooms may take; see ``Limits``, from where each comes."""

    rooms: int
    message_bytes: int
    messages_per_second: int
    burst: int
    idle: float
    lifetime: float


class Rooms:
    """All of them."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._rooms: dict[str, list[Seat]] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def enter(self, name: str, wake: Callable[[Seat], None], now: float, too_many: str = "") -> Seat:
        """Somebody has come; whoever is not let in finds that he has a seat that has ended.

        Args:
            name: of the room.
            wake: called with the seat when there is something to send, or it has ended.
            now: seconds of a clock that never goes back.
            too_many: the sentence for him if his token has brought as many as it may; otherwise empty.
        """
        seat = Seat(self, name, wake, now)
        there = self._rooms.get(name, [])
        if too_many:
            seat.end(TRY_AGAIN_LATER, too_many)
        elif len(there) == 2:  # noqa: PLR2004 - one here, one there
            seat.end(FULL, "two are in this room; try again when they have met, or choose another name")
        elif not there and len(self) >= self.bounds.rooms:
            seat.end(
                TRY_AGAIN_LATER, f"there are {len(self)} rooms, the most that are allowed (limits.rooms)"
            )
        else:
            self._rooms[name] = [*there, seat]
            seat.tell_other("joined")
        return seat

    def other(self, seat: Seat) -> Seat | None:
        """Whoever else is in the room, for somebody who is in it."""
        there = self._rooms.get(seat.room, [])
        return next((each for each in there if each is not seat), None) if seat in there else None

    def forget(self, seat: Seat) -> None:
        """Somebody is no longer in his room."""
        there = [each for each in self._rooms.get(seat.room, []) if each is not seat]
        if there:
            self._rooms[seat.room] = there
        else:
            self._rooms.pop(seat.room, None)

    def close(self) -> None:
        """The proxy stops."""
        for seat in [seat for there in self._rooms.values() for seat in there]:
            seat.end(*STOPPED)


class Seat:
    """Somebody in a room.

    Attributes:
        room: its name.
        ending: once it has ended, close code and reason; a code of 0 where he has left by himself.
    """

    def __init__(self, rooms: Rooms, room: str, wake: Callable[[Seat], None], now: float) -> None:
        self.room = room
        self.ending: tuple[int, str] | None = None
        self._rooms = rooms
        self._bounds = rooms.bounds
        self._wake = wake
        self._came = self._active = now
        self._pace = Pace(self._bounds.messages_per_second, self._bounds.burst)
        self._waiting: list[str] = []
        self._waiting_size = 0

    def say(self, text: str, now: float) -> None:
        """He says something; nobody hears it who is not there."""
        self._active = now
        if self._pace.allows(now):
            self.tell_other("message", text)
        else:
            most = self._bounds.messages_per_second
            self.end(
                POLICY_VIOLATION, f"more than {most} messages a second (limits.room_messages_per_second)"
            )

    def take(self) -> list[str]:
        """What is to be sent to him."""
        taken, self._waiting, self._waiting_size = self._waiting, [], 0
        return taken

    def patience(self, now: float) -> float:
        """Seconds until ``expire`` is to be called if he says nothing."""
        return min(self._active + self._bounds.idle, self._came + self._bounds.lifetime) - now

    def expire(self, now: float) -> None:
        """He has said nothing for so long, or was here for so long, that he has to go."""
        if now < self._came + self._bounds.lifetime:
            self.end(TIMED_OUT, f"nothing was said for {self._bounds.idle:g} s (limits.room_idle)")
        else:
            self.end(TIMED_OUT, f"in the room for {self._bounds.lifetime:g} s (limits.room_lifetime)")

    def leave(self) -> None:
        """He has left."""
        self.end(0, "")

    def end(self, code: int, reason: str) -> None:
        """He is in the room no longer; the first reason counts."""
        if self.ending is not None:
            return
        self.ending = code, reason
        self.tell_other("left")
        self._rooms.forget(self)
        self._wake(self)

    def tell_other(self, kind: Kind, data: str = "") -> None:
        """Have the other one hear something, if there is one."""
        if other := self._rooms.other(self):
            other.hear(encode_event((kind, data)))

    def hear(self, text: str) -> None:
        """Something is to be sent to him; one who takes nothing has to go."""
        self._waiting_size += len(text)
        if self._waiting_size > UNTAKEN * self._bounds.message_bytes:
            self.end(POLICY_VIOLATION, "what was sent is not taken")
        else:
            self._waiting.append(text)
            self._wake(self)
