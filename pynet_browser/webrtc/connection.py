"""A connection to another page, after the browser's RTCPeerConnection."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any, Literal, Self, TypeAlias, cast

from pynet_browser.errors import UnsupportedRuntimeError
from pynet_browser.http.waiting import settled
from pynet_browser.runtime import page_error, page_side, to_page
from pynet_browser.webrtc.channel import CLOSE_TIMEOUT, DataChannel
from pynet_browser.webrtc.exceptions import ChannelClosedError

__all__ = ["INBOX_BYTES", "ConnectionState", "IceServer", "PeerConnection"]

IceServer: TypeAlias = str | Mapping[str, Any]

ConnectionState: TypeAlias = Literal["new", "connecting", "connected", "disconnected", "failed", "closed"]

INBOX_BYTES = 16 << 20
"""Bytes of messages that may wait to be received in each channel."""

GATHER_TIMEOUT = 5.0
"""Seconds in which servers must have told how this side can be reached; what is known then has to do."""


class PeerConnection:
    """A connection to another page, which carries data channels; used with ``async with``, or closed.

    Each side says what it is in a string: one makes an offer, and the other answers. How these strings get
    from one to the other is the program's business; ``meet`` has a proxy do it.

    Args:
        ice_servers: servers that help two sides behind different networks to find each other: addresses like
            ``stun:host:3478``, or mappings with ``urls``, ``username`` and ``credential``. None are asked
            unless they are named here.
        inbox_bytes: bytes of messages that may wait to be received in each channel, 64 more for each of them;
            a channel with more is closed.

    Raises:
        NotInBrowserError: this Python does not run in a page.
        UnsupportedRuntimeError: this thread, or this browser, has no RTCPeerConnection.
        ValueError: the browser does not understand ``ice_servers``.
    """

    def __init__(self, *, ice_servers: Sequence[IceServer] = (), inbox_bytes: int = INBOX_BYTES) -> None:
        page = page_side()
        if not page.hasPeerConnections():
            raise UnsupportedRuntimeError(
                "there is no RTCPeerConnection here: browsers have it on a page's main thread only, not in "
                "its workers; run this on the main thread"
            )
        servers = [{"urls": each} if isinstance(each, str) else dict(each) for each in ice_servers]
        try:
            self._js: Any = page.openPeer(to_page(servers), inbox_bytes)
        except page_error() as error:
            raise ValueError(f"ice_servers: {error}") from None
        self._empty = True
        # One that nobody can close any more would live as long as the page.
        weakref.finalize(self, self._js.close).atexit = False

    # ── Meeting the other side ─────────────────────────────────────────────────────────────────────

    async def create_offer(self, *, gathered: bool = True) -> str:
        """What the other side has to ``accept``; this side's local description is set to it.

        Args:
            gathered: whether to wait until it says all ways by which this side can be reached, so that this
                string and the answer are all that has to be exchanged. Otherwise ``candidates`` tells them.

        Raises:
            ValueError: there is no data channel: without one an offer connects nothing.
            ConnectionError: the connection is closed.
        """
        if self._empty:
            raise ValueError("make a data channel first: an offer without one connects nothing")
        await self._told(self._js.offer())
        return await self._described(gathered=gathered)

    async def create_answer(self, *, gathered: bool = True) -> str:
        """The answer to the offer that was set as the remote description; see ``create_offer``.

        Raises:
            ValueError: there is no offer.
            ConnectionError: the connection is closed.
        """
        await self._told(self._js.answer())
        return await self._described(gathered=gathered)

    async def set_remote_description(self, description: str) -> None:
        """Take what the other side has made: an offer, or the answer to the offer of this side.

        Raises:
            ValueError: it is none, or there is no offer to be answered.
            ConnectionError: the connection is closed.
        """
        await self._told(self._js.accept(description))

    async def accept(self, offer: str, *, gathered: bool = True) -> str:
        """The answer to an offer: ``set_remote_description`` and ``create_answer`` in one."""
        await self.set_remote_description(offer)
        return await self.create_answer(gathered=gathered)

    async def candidates(self) -> AsyncIterator[str]:
        """Ways by which this side can be reached, as the browser finds them, until it has them all.

        The other side takes each with ``add_candidate``, after the description that it belongs to.
        """
        while True:
            candidate = self._js.takeCandidate()
            if candidate is not None:
                yield str(candidate)
            elif self._js.gathered or self._js.ending:
                return
            else:
                await self._change()

    async def add_candidate(self, candidate: str) -> None:
        """Take one of the other side's ``candidates``.

        Raises:
            ValueError: it is none, or the other side's description is not here yet.
            ConnectionError: the connection is closed.
        """
        await self._told(self._js.add(candidate))

    # ── Channels ───────────────────────────────────────────────────────────────────────────────────

    def create_data_channel(
        self,
        label: str = "",
        *,
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_packet_life_time: int | None = None,
        protocol: str = "",
        id: int | None = None,  # noqa: A002 - the field's own name
    ) -> DataChannel:
        """A new channel, which can be used when the other side has taken it: sending waits for that.

        Args:
            label: what it is called; up to 65,535 bytes.
            ordered: whether messages come in the order in which they were sent.
            max_retransmits: how often a message is sent again that was lost; 0 for never, None for always.
            max_packet_life_time: for how many milliseconds it is; not together with ``max_retransmits``.
            protocol: the subprotocol that is spoken on it.
            id: its number, if the other side makes the same channel under the same number, instead of being
                told of it (``negotiated`` in JavaScript).

        Raises:
            ValueError: the browser takes no such channel.
            ConnectionError: the connection is closed.
        """
        wanted: dict[str, object] = {"ordered": ordered, "protocol": protocol}
        if max_retransmits is not None:
            wanted["maxRetransmits"] = max_retransmits
        if max_packet_life_time is not None:
            wanted["maxPacketLifeTime"] = max_packet_life_time
        if id is not None:
            wanted |= {"negotiated": True, "id": id}
        self._check_open()
        try:
            js = self._js.open(label, to_page(wanted))
        except page_error() as error:
            raise ValueError(str(error)) from None
        self._empty = False
        return DataChannel(js, self)

    async def channel(self, timeout: float | None = None) -> DataChannel:
        """The next channel that the other side opens.

        Up to 16 wait here to be taken; what is opened beyond that is closed at once.

        Raises:
            ConnectionError: there will be none: the connection has ended.
            TimeoutError: none was opened in time.
        """
        async with asyncio.timeout(timeout):
            while (js := self._js.takeChannel()) is None:
                self._check_open()
                await self._change()
        return DataChannel(js, self)

    async def channels(self) -> AsyncIterator[DataChannel]:
        """Channels that the other side opens, until the connection ends."""
        try:
            while True:
                yield await self.channel()
        except ConnectionError:
            return

    # ── Its state, and its end ─────────────────────────────────────────────────────────────────────

    @property
    def connection_state(self) -> ConnectionState:
        """``new``, ``connecting``, ``connected``, ``disconnected``, ``failed`` or ``closed``.

        One that has failed is closed, and stays ``closed``.
        """
        return cast(ConnectionState, str(self._js.state))

    @property
    def message_max(self) -> float:
        """Most bytes that the other side takes in one message; ``inf`` until it has told."""
        return float(self._js.messageMax)

    async def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Close all channels as ``DataChannel.close`` does, and then the connection.

        Args:
            timeout: seconds for the channels; what was not sent then is lost.
        """
        try:
            async with asyncio.timeout(timeout):
                await settled(self._js.finish())
        except TimeoutError:
            pass  # the other side is gone, or does not take what it is sent
        finally:
            self._js.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<PeerConnection {self.connection_state}>"

    # ── Within ─────────────────────────────────────────────────────────────────────────────────────

    async def _change(self) -> None:
        """Wait until there is something new. Whoever gives up is not kept."""
        try:
            await settled(self._js.changed())
        except asyncio.CancelledError:
            self._js.wake()
            raise

    def _check_open(self) -> None:
        if self._js.ending:
            raise ChannelClosedError(str(self._js.ending))

    async def _told(self, promise: Awaitable[None]) -> None:
        """Wait for the browser, and say in Python what it refuses."""
        try:
            await settled(promise)
        except page_error() as error:
            self._check_open()
            raise ValueError(str(error)) from None

    async def _described(self, *, gathered: bool) -> str:
        if gathered:
            try:
                async with asyncio.timeout(GATHER_TIMEOUT):
                    while not self._js.gathered:
                        self._check_open()
                        await self._change()
            except TimeoutError:
                pass
        return str(self._js.description)
