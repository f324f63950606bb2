"""Who carries a session's messages: a WebSocket, a stream beside it, exchanges over HTTP, or nobody now."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Literal, Protocol, TypeAlias

from pynet_browser.errors import ProtocolError
from pynet_browser.frames import Frame, Goaway
from pynet_browser.link import Link

__all__ = ["Carriage", "Carrier", "Ending"]

SEND_AHEAD = 512 * 1024
"""Bytes that may wait for a WebSocket: enough to keep it busy; the rest waits at the hosts."""

TRANSITIONS: dict[str, dict[str, str]] = {
    "attached": {"attach": "attached", "lose": "detached", "end": "ended"},
    "detached": {"attach": "attached", "end": "ended"},
    "ended": {},
}
"""``detached``: no WebSocket and no exchange, and the grace period runs."""

Ending: TypeAlias = Literal["refused", "protocol", "ended", "replaced"]
"""Why a carrier is closed."""


class Carrier(Protocol):
    """What a session asks of what moves its messages."""

    def wake(self) -> None:
        """Come and take what is to be sent."""

    def end(self, kind: Ending, reason: str, last: Frame | None = None) -> Coroutine[Any, Any, None]:
        """Stop carrying, after one ``last`` frame; takes seconds at most, whatever the peer does."""


class StreamCarrier(Carrier, Protocol):
    """One that only brings messages to the page, beside a WebSocket."""

    def retire(self) -> None:
        """Take no more; what was taken still goes out."""


class Carriage:
    """What carries one session, and which of it takes the messages.

    The WebSocket that attached last has them, or the newest *stream* beside it, unless an exchange *polls*:
    the newest one whose answer may hold messages. A page that waits in one hears nothing else, so WebSocket
    and stream are *quiet* from then on until the page shows on the WebSocket that it listens again.

    Args:
        link: the session's messages.
        grace: seconds for which the session is kept while nobody carries it.
        taken: called when messages were taken or acknowledged.
        expired: called when nobody has carried it for so long.
    """

    def __init__(
        self, link: Link, grace: float, taken: Callable[[], None], expired: Callable[[], None]
    ) -> None:
        self._link = link
        self._grace = grace
        self._taken = taken
        self._expired = expired
        self._state = "detached"
        self._socket: Carrier | None = None
        self._greeting: list[bytes] = []  # of the WebSocket: what goes before all messages
        self._notice: list[bytes] = []  # what whoever carries the session is told
        self._told = True  # in an answer
        self._queue: deque[bytes] = deque()  # messages that the link gave out and nobody has sent
        self._again = False  # everything that was not acknowledged is to be sent
        self._quiet = False
        self._stream: StreamCarrier | None = None
        self._stream_number = 0
        self._streams: set[StreamCarrier] = set()  # with those that only finish
        self._unstreamed = 0  # streams up to this number come too late
        self._exchanges: set[Carrier] = set()
        self._polling: Carrier | None = None
        self._limit = SEND_AHEAD  # of the last poll
        self._expiry: asyncio.TimerHandle | None = None
        self._ack_timer: asyncio.TimerHandle | None = None
        self._farewells: set[asyncio.Task[None]] = set()

    @property
    def over(self) -> bool:
        """Whether the session has ended."""
        return self._state == "ended"

    @property
    def detached(self) -> bool:
        """Whether nobody carries the session now."""
        return self._state == "detached"

    @property
    def exchanges(self) -> int:
        """How many exchanges are under way."""
        return len(self._exchanges)

    @property
    def listening(self) -> bool:
        """Whether the page hears what comes elsewhere than in the answer of an exchange."""
        return not self._quiet

    @property
    def ahead(self) -> int:
        """Bytes that may wait to be taken: what keeps a WebSocket busy, or fills an answer."""
        return SEND_AHEAD if self._socket and not self._quiet else self._limit

    # ── Coming and going ───────────────────────────────────────────────────────────────────────────

    def attach(self, socket: Carrier, welcome: bytes) -> None:
        """A WebSocket is let in and is now the one in use.

        Args:
            socket: it.
            welcome: the message to send before all else.
        """
        self._began()
        for older in (self._socket, self._polling, *self._streams):
            if older:
                self._dismiss(older, "replaced", "the session has a newer carrier")
        self._socket, self._polling, self._stream = socket, None, None
        self._greeting = [welcome, *self._notice]
        self._again, self._quiet = True, False
        self._limit = SEND_AHEAD
        self._taken()

    def detach(self, socket: Carrier) -> None:
        """A WebSocket is gone."""
        if socket is self._socket:
            self._socket = self._stream = None
            for stream in self._streams:
                self._dismiss(stream, "replaced", "the session's WebSocket is gone")
            self._ended()

    def uses(self, socket: Carrier) -> bool:
        """Whether it is the WebSocket in use."""
        return socket is self._socket

    def begin(self, exchange: Carrier, limit: int) -> None:
        """An exchange is let in.

        Args:
            exchange: it.
            limit: bytes of messages that its answer may hold; 0 if it only brings some.
        """
        self._began()
        self._exchanges.add(exchange)
        if not limit:
            return
        if self._polling:
            self._dismiss(self._polling, "replaced", "the session has a newer exchange")
        self._polling = exchange
        self._quiet = True
        self._again |= bool(self._queue)  # which is in the answer
        self._queue.clear()
        self._limit = max(limit, SEND_AHEAD)
        self._taken()

    def finish(self, exchange: Carrier, *, answered: bool) -> None:
        """An exchange is over; a page that was not ``answered`` listens elsewhere, or will ask again."""
        self._exchanges.discard(exchange)
        if exchange is self._polling:
            self._polling = None
            if not answered:
                self._again = True
                self._speak()
        self._ended()

    def may_stream(self, number: int) -> bool:
        """Whether a stream of this number may carry messages: it needs a WebSocket, and must not be late."""
        return self._socket is not None and number > self._unstreamed

    def stream(self, stream: StreamCarrier, number: int) -> None:
        """A stream is let in, and takes the messages from now on."""
        self._streams.add(stream)
        self.unstream(self._stream_number, lost=False)
        self._stream, self._stream_number = stream, number

    def unstream(self, number: int, *, lost: bool) -> None:
        """Streams up to ``number`` end: what they were given was ``lost``, or is still brought."""
        self._unstreamed = max(self._unstreamed, number)
        if self._stream and number >= self._stream_number:
            self._stream.retire()
            self._stream = None
        if lost:
            self._send_again()
        self.wake()

    def finish_stream(self, stream: StreamCarrier, *, lost: bool) -> None:
        """A stream is over; what it was given may have been ``lost``."""
        self._streams.discard(stream)
        if stream is self._stream:
            self._stream = None
        if lost and not self.over:
            self._send_again()
            self.wake()

    def heard(self, socket: Carrier) -> None:
        """Something came on a WebSocket. While an exchange polls it was sent before, and shows nothing."""
        if self._quiet and socket is self._socket and self._polling is None:
            self._speak()

    def announce(self, notice: bytes) -> None:
        """Tell whoever carries the session, now or later, a message that is not numbered."""
        self._notice, self._told = [notice], False
        self._greeting.append(notice)
        for carrier in (self._socket, self._polling):
            if carrier:
                carrier.wake()

    def end(self, goodbye: Goaway | None) -> None:
        """The session is over: whatever carries it ends, with ``goodbye``."""
        self._turn("end")
        for timer in (self._expiry, self._ack_timer):
            if timer:
                timer.cancel()
        kind: Ending = "protocol" if goodbye and goodbye.code == "protocol" else "ended"
        for carrier in (self._socket, *self._streams, *self._exchanges):
            if carrier:
                self._dismiss(carrier, kind, goodbye.message if goodbye else "", goodbye)
        self._socket = self._stream = self._polling = None
        self._taken = self._expired = _nothing  # what the session is part of no more needs no collector

    async def ended(self) -> None:
        """Wait until the page was told of the end."""
        if self._farewells:
            await asyncio.wait(self._farewells)

    def _began(self) -> None:
        self._turn("attach")
        if self._expiry:
            self._expiry.cancel()
            self._expiry = None

    def _ended(self) -> None:
        if self._state == "attached" and not self._socket and not self._exchanges:
            self._turn("lose")
            self._expiry = asyncio.get_running_loop().call_later(self._grace, self._expired)

    def _speak(self) -> None:
        self._quiet = False
        self.wake()

    def _send_again(self) -> None:
        self._again = True
        self._queue.clear()

    def _dismiss(self, carrier: Carrier, kind: Ending, reason: str, last: Frame | None = None) -> None:
        farewell = asyncio.create_task(carrier.end(kind, reason, last))
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)

    def _turn(self, event: str) -> None:
        try:
            self._state = TRANSITIONS[self._state][event]
        except KeyError:
            raise ProtocolError(f"{event!r} cannot happen to a session that is {self._state}") from None

    # ── Messages ───────────────────────────────────────────────────────────────────────────────────

    def wake(self) -> None:
        """There may be something to send."""
        carrier = self._polling or self._speaker
        if carrier:
            carrier.wake()

    @property
    def _speaker(self) -> Carrier | None:
        """Who takes messages where no exchange does."""
        return None if self._quiet else self._stream or self._socket

    def take(self, carrier: Carrier) -> Iterator[bytes]:
        """What a WebSocket or a stream should send now, for as long as it is the one to send."""
        if carrier is self._socket:
            greeting, self._greeting = self._greeting, []
            yield from greeting
        if carrier is not self._speaker:
            return
        if self._again:
            self._again = False
            self._queue = deque(self._link.replay())
        self._queue.extend(self._link.take(time.monotonic()))
        self._taken()
        self.acknowledge_in_time()
        while self._queue and carrier is self._speaker:
            yield self._queue.popleft()

    def due(self, exchange: Carrier) -> bool:
        """Whether an exchange should be answered now."""
        owed = not self._link.all_acknowledged or self._link.ack_due
        return exchange is not self._polling or not self._told or owed

    def answer(self, exchange: Carrier, limit: int) -> list[bytes]:
        """What the answer of an exchange should hold behind ``welcome``."""
        messages = self._link.outstanding(limit if exchange is self._polling else 0)
        self._taken()
        self._told = True
        return [*self._notice, *messages]

    def acknowledge_in_time(self) -> None:
        """See to it that an acknowledgement which finds no message to ride on is sent alone."""
        ack_at = self._link.ack_at
        if self._link.ack_due:
            self.wake()
        elif ack_at is not None and self._ack_timer is None:
            delay = max(0.0, ack_at - time.monotonic())
            self._ack_timer = asyncio.get_running_loop().call_later(delay, self._ack_time)

    def _ack_time(self) -> None:
        # If it is no longer owed, or owed later, nothing is sent, and `take` sets the timer anew.
        self._ack_timer = None
        self.wake()


def _nothing() -> None:
    pass
