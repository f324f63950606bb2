"""A data channel: messages to and from another page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, cast

from pynet_browser.http.waiting import settled
from pynet_browser.runtime import page_error, to_page
from pynet_browser.webrtc.exceptions import ChannelClosed, ChannelClosedError, ChannelClosedOK

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from pynet_browser.webrtc.connection import PeerConnection

__all__ = ["CLOSE_TIMEOUT", "DataChannel", "ReadyState"]

ReadyState: TypeAlias = Literal["connecting", "open", "closing", "closed"]

CLOSE_TIMEOUT = 10.0
"""Seconds in which the other side must have taken its part in closing."""


class DataChannel:
    """A channel of a ``PeerConnection``. Iterating over it gives messages until it is closed.

    Messages of text are ``str``, others ``bytes``. What has come before the channel was closed can still be
    received.

    Attributes:
        connection: what it belongs to.
        closes_connection: whether closing it closes that, too, as of what ``meet`` gives.
        label: what it was called by whoever made it.
        protocol: the subprotocol that was named then.
        ordered: whether messages come in the order in which they were sent.
        max_retransmits: how often a message is sent again that was lost; None for no limit.
        max_packet_life_time: for how many milliseconds it is; None for no limit.
    """

    def __init__(self, js: Any, connection: PeerConnection) -> None:
        self._js = js
        self._send, self._next = js.send, js.take  # looked up once: each time takes some 10 µs
        self._turn = asyncio.Lock()
        self._message_max: float = 0
        self.connection = connection
        self.closes_connection = False
        self.label: str
        self.protocol: str
        self.ordered: bool
        self.max_retransmits: int | None
        self.max_packet_life_time: int | None
        self.label, self.protocol, self.ordered, self.max_retransmits, self.max_packet_life_time = js.traits

    @property
    def id(self) -> int | None:
        """Its number, the same on both sides; None until both know it."""
        number = self._js.id
        return None if number is None else int(number)

    @property
    def ready_state(self) -> ReadyState:
        """``connecting``, ``open``, ``closing`` or ``closed``."""
        return cast(ReadyState, str(self._js.readyState))

    @property
    def buffered_amount(self) -> int:
        """Bytes of messages that wait in the browser to be sent."""
        return int(self._js.unsent)

    @property
    def available(self) -> int:
        """Messages that are here, and were not received yet."""
        return int(self._js.available)

    async def wait_open(self, timeout: float | None = None) -> None:
        """Wait until messages can be sent.

        Args:
            timeout: seconds; None for no limit but the browser's, which gives a connection up that does not
                come about.

        Raises:
            ChannelClosed: it will not be open: the two sides do not find each other, or it was closed.
            TimeoutError: it takes longer.
        """
        async with asyncio.timeout(timeout):
            while self.ready_state == "connecting":
                await self._wait(self._js.room())
        if self.ready_state != "open":
            raise self._ending()

    async def send(self, message: str | ReadableBuffer) -> None:
        """Send one message; wait until the channel is open, and while too much waits to be sent.

        Tasks that send at once do so in the order in which they have begun to.

        Raises:
            ChannelClosed: the channel has ended.
            ValueError: the other side takes no message so large in one, or the text cannot be encoded.
            TypeError: that is no message.
        """
        data, size = _outgoing(message)
        if size > self._message_max:
            await self._check_size(size)
        if not self._turn.locked() and self._give(data):
            return
        async with self._turn:
            while not self._give(data):
                await self._wait(self._js.room())

    async def recv(self, timeout: float | None = None) -> str | bytes:
        """The next message.

        Args:
            timeout: seconds to wait for it; None for no limit.

        Raises:
            ChannelClosedOK: one side has closed the channel, and all that came before was received.
            ChannelClosedError: it broke, or more came than may wait to be received.
            TimeoutError: none came in time.
        """
        if (data := self._take()) is not None:
            return data
        async with asyncio.timeout(timeout):
            while (data := self._take()) is None:
                await self._wait(self._js.ready())
        return data

    async def close(self, timeout: float = CLOSE_TIMEOUT) -> bool:
        """Close the channel behind all that was sent, and wait until the other side has closed it, too.

        Args:
            timeout: seconds to wait for that; it is closed then all the same.

        Returns:
            Whether the other side has confirmed that: then all that was sent has arrived at its browser.
        """
        if self.ready_state != "closed":
            self._js.close()
            try:
                async with asyncio.timeout(timeout):
                    await self.wait_closed()
            except TimeoutError:
                self._js.finish(f"the other side has not closed it within {timeout:g} s")
        if self.closes_connection:
            await self.connection.close()
        return bool(self._js.ending.clean)

    async def wait_closed(self) -> None:
        """Wait until the channel is closed."""
        while not self._js.ending:
            await self._wait(self._js.changed())

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Messages, until one side closes the channel as it should."""
        try:
            while True:
                yield await self.recv()
        except ChannelClosedOK:
            return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<DataChannel {self.label!r} {self.ready_state}>"

    async def _wait(self, promise: Awaitable[None]) -> None:
        """Wait for the page. Whoever gives up is not kept there."""
        try:
            await settled(promise)
        except asyncio.CancelledError:
            self._js.wake()
            raise

    def _give(self, data: Any) -> bool:
        """Whether a message was handed to the browser; if not, it has to wait."""
        try:
            sent: bool | None = self._send(data)
        except page_error() as error:
            raise ChannelClosedError(str(error)) from None
        if sent is None:
            raise self._ending()
        return sent

    def _take(self) -> str | bytes | None:
        """A message that is here already."""
        data = self._next()
        if data is None:
            if self._js.ending and not self._js.available:  # one may have come in between
                raise self._ending()
            return None
        return data if isinstance(data, str) else bytes(data.to_bytes())

    async def _check_size(self, size: int) -> None:
        """Refuse a message that is too large; how large one may be is known when the channel is open."""
        await self.wait_open()
        self._message_max = self.connection.message_max
        if size > self._message_max:
            raise ValueError(
                f"the message has {size} bytes, and the other side takes at most {self._message_max:.0f} "
                "in one: send it in pieces"
            )

    def _ending(self) -> ChannelClosed:
        ending = self._js.ending
        return ChannelClosedError(str(ending.error)) if ending and ending.error else ChannelClosedOK()


def _outgoing(message: str | ReadableBuffer) -> tuple[Any, int]:
    """What the browser sends, and how many bytes that are.

    Raises:
        TypeError, ValueError: see ``DataChannel.send``.
    """
    if isinstance(message, str):
        # Browsers would replace what has no encoding.
        return message, len(message) if message.isascii() else len(message.encode())
    try:
        data = message if isinstance(message, bytes) else memoryview(message).tobytes()
    except TypeError:
        raise TypeError(f"a message is str or bytes, not {type(message).__name__}") from None
    return to_page(data), len(data)
