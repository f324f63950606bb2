"""Numbered messages, acknowledgements and replay: what lets a session outlive its carrier. Pure.

A :class:`Link` is one end of a session. Frames pushed into it leave as numbered messages and are kept until
the peer has acknowledged them; messages that come in are put back in order and delivered exactly once, on
whatever carrier they came. It never sends: :meth:`Link.take` says what is to be sent now, and the shell that
owns the carriers sends it on the one it likes best. ``js/link.js`` is its twin.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pynet_browser.errors import ProtocolError
from pynet_browser.fields import Buffer
from pynet_browser.wire import MESSAGE_HEADER, MESSAGE_MAX, Message, data_header, encode_message

__all__ = ["ACK_DELAY", "MESSAGES_UNDER_WAY", "MESSAGE_TARGET", "REPLAY_LIMIT", "Link"]

MESSAGE_TARGET = 256 * 1024
"""A message is closed before it grows beyond this. Chromium's WebSocket is fastest between 64 and 256 KiB."""

REPLAY_LIMIT = 16 << 20
"""Most bytes kept for replay: as many as a 16 MiB window can have under way."""

MESSAGES_UNDER_WAY = 16384
"""There is no room while so many messages are not acknowledged. A receiver endures twice as many ahead of
their turn: that bounds what it keeps, however small they are."""

WORTH_A_MESSAGE = 16 * 1024
"""Data of so many bytes closes its message."""

ACK_DELAY = 0.1
"""Seconds an acknowledgement may wait for a message to ride on."""

ACK_SHARE = 8
"""An acknowledgement leaves at once when 1/8 of what the peer can keep has come in since the last one."""


class Link:
    """One end of a session's numbered messages.

    ``room`` is the brake: a producer that respects it keeps what waits and what may have to be sent again
    below ``replay_limit`` plus one frame. What comes before its turn is bounded by what the peer may keep.

    Args:
        replay_limit: most bytes of messages that this end keeps until they are acknowledged.
    """

    def __init__(self, replay_limit: int = REPLAY_LIMIT) -> None:
        self.replay_limit = replay_limit
        self.peer_replay = REPLAY_LIMIT
        """Bytes the peer keeps, as it said in its greeting; sets the pace of acknowledgements."""
        self.received = 0
        """Number of the last message delivered: all up to it have been."""
        self._sent = 0
        self._pending: list[Buffer] = []
        self._pending_size = 0
        self._sealed: list[bytes] = []
        self._replay: deque[bytes] = deque()
        self._kept = 0
        self._early: dict[int, Message] = {}
        self._early_size = 0
        self._unacknowledged = 0
        self._ack_at: float | None = None

    # ── Sending ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def buffered(self) -> int:
        """Bytes held: waiting to be sent, sent and not acknowledged, or arrived before their turn."""
        return self._pending_size + self._kept + self._early_size

    @property
    def newest(self) -> int:
        """Number of the message in which what was pushed last leaves."""
        return self._sent + bool(self._pending)

    @property
    def acknowledged(self) -> int:
        """Number of the last message that the peer has acknowledged."""
        return self._sent - len(self._replay)

    @property
    def kept(self) -> int:
        """Bytes of messages that the peer has not acknowledged."""
        return self._kept

    @property
    def room(self) -> int:
        """Bytes that may still be pushed before producers should stop; negative if they went too far."""
        room = self.replay_limit - self._pending_size - self._kept
        return room if len(self._replay) < MESSAGES_UNDER_WAY else min(room, 0)

    @property
    def pending(self) -> bool:
        """Whether frames wait to be sent."""
        return bool(self._pending or self._sealed)

    @property
    def all_acknowledged(self) -> bool:
        """Whether the peer has everything that was pushed."""
        return not (self._pending or self._replay)

    @property
    def unsent(self) -> int:
        """Bytes that wait to be taken."""
        return self._pending_size + sum(map(len, self._sealed))

    def push(self, *parts: Buffer) -> None:
        """Queue one frame, given as its bytes in order. The parts must not change until they are taken.

        Raises:
            ValueError: no message can hold it.
        """
        size = sum(map(len, parts))
        if size > MESSAGE_MAX:
            raise ValueError(f"frame of {size} bytes; at most {MESSAGE_MAX}")
        if self._pending and self._pending_size + size > MESSAGE_TARGET:
            self._seal()
        self._pending.extend(parts)
        self._pending_size += size

    def push_data(self, socket: int, data: memoryview) -> None:
        """Queue a data frame; ``data`` is copied, once, and may change afterwards."""
        if len(data) < WORTH_A_MESSAGE:
            self.push(data_header(socket, len(data)) + data)
        else:
            # Sealed at once, so that the copy is the one that makes the message.
            self.push(data_header(socket, len(data)), data)
            self._seal()

    def take(self, now: float) -> Sequence[bytes]:
        """The messages to send now: all frames pushed since the last call, or an acknowledgement if due."""
        if self._pending:
            self._seal()
        if self._sealed:
            messages, self._sealed = self._sealed, []
            self._acknowledging()
            return messages
        if self.ack_due or (self._ack_at is not None and now >= self._ack_at):
            return (self.acknowledgement(),)
        return ()

    def acknowledgement(self) -> bytes:
        """A message that carries nothing but the acknowledgement."""
        self._acknowledging()
        return encode_message(0, self.received, ())

    @property
    def ack_at(self) -> float | None:
        """When :meth:`take` should be called for an acknowledgement's sake; None if none is owed."""
        return self._ack_at

    @property
    def ack_due(self) -> bool:
        """Whether so much has come in that the peer should be told without delay."""
        return self._ack_at is not None and self._unacknowledged >= self.peer_replay // ACK_SHARE

    def replay(self, seen: int = 0) -> Sequence[bytes]:
        """What must be sent again, in order.

        That is asked when a carrier was attached, to a peer that has ``seen`` so many messages, and when one
        was lost and another stays. A greeting can be overtaken by acknowledgements on another carrier:
        what was acknowledged is not sent again even if the peer had not ``seen`` it yet.

        Raises:
            ProtocolError: the peer claims messages that were never sent.
        """
        self.acknowledge(seen)
        self._sealed = []
        return tuple(self._replay)

    def outstanding(self, limit: int) -> Sequence[bytes]:
        """The oldest messages that are not acknowledged, sent before or not, in order.

        It is what an exchange takes along. They count as sent, and the acknowledgement that is owed as made.

        Args:
            limit: bytes of them at most; but one message at least, unless it is 0.
        """
        if self._pending:
            self._seal()
        self._acknowledging()
        chosen: list[bytes] = []
        size = 0
        for message in self._replay:
            size += len(message)
            if size > limit and (chosen or not limit):
                break
            chosen.append(message)
        sent_before = len(self._replay) - len(self._sealed)
        self._sealed = self._sealed[max(0, len(chosen) - sent_before) :]
        return chosen

    def acknowledge(self, number: int) -> bool:
        """Forget the messages up to ``number``: the peer has them. Tells whether there were any.

        Raises:
            ProtocolError: so many were never sent.
        """
        if number > self._sent:
            raise ProtocolError(f"the peer acknowledges message {number}; {self._sent} were sent")
        count = number - self.acknowledged
        for _ in range(count):
            self._kept -= len(self._replay.popleft())
        return count > 0

    def _seal(self) -> None:
        self._sent += 1
        message = encode_message(self._sent, self.received, self._pending)
        self._pending, self._pending_size = [], 0
        self._replay.append(message)
        self._kept += len(message)
        self._sealed.append(message)

    # ── Receiving ───────────────────────────────────────────────────────────────────────────────────

    def receive(self, message: Message, now: float) -> Sequence[Message]:
        """Take in a numbered message from any carrier; returns what is now to be delivered, in order.

        A message seen before is dropped; one that is ahead of its turn (its elders are on another carrier)
        waits for them.

        Raises:
            ProtocolError: it is so far ahead that the peer must not have sent it yet.
        """
        if message.number <= self.received:
            self._ack_at = now  # it was sent again: our acknowledgement is what the peer lacks
            return ()
        if message.number > self.received + 1:
            self._hold(message)
            return ()
        ready = [message]
        self.received += 1
        while self._early and (following := self._early.pop(self.received + 1, None)):
            self._early_size -= MESSAGE_HEADER.size + len(following.body)
            self.received += 1
            ready.append(following)
        self._unacknowledged += sum(MESSAGE_HEADER.size + len(each.body) for each in ready)
        if self._ack_at is None:
            self._ack_at = now + ACK_DELAY
        return ready

    def _hold(self, message: Message) -> None:
        if message.number in self._early:
            return
        size = MESSAGE_HEADER.size + len(message.body)
        # A peer with room for one byte may push one more frame.
        limit = min(self.peer_replay, REPLAY_LIMIT) + MESSAGE_MAX
        if message.number - self.received > 2 * MESSAGES_UNDER_WAY or self._early_size + size > limit:
            raise ProtocolError(f"message {message.number} came and {self.received + 1} did not")
        # A message may be a view into a carrier's buffer many times its size: keep a copy of its own.
        self._early[message.number] = message._replace(body=memoryview(bytes(message.body)))
        self._early_size += size

    def _acknowledging(self) -> None:
        self._unacknowledged = 0
        self._ack_at = None
