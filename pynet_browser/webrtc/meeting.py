"""Two pages meet in a room of a proxy, and leave it when they have a data channel of their own."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any
from urllib.parse import quote

from pynet_browser.address import Server, server_at
from pynet_browser.errors import ProxyUnreachableError
from pynet_browser.runtime import page_side
from pynet_browser.settings import installed
from pynet_browser.signalling import SUBPROTOCOL, decode_event, room_url
from pynet_browser.webrtc.channel import DataChannel
from pynet_browser.webrtc.connection import INBOX_BYTES, IceServer, PeerConnection
from pynet_browser.webrtc.exceptions import ChannelClosed
from pynet_browser.websocket import ClientConnection, ConnectionClosed, InvalidHandshake, connect

__all__ = ["meet"]

LEAVE_TIMEOUT = 2.0
"""Seconds that leaving the room may take."""

REFUSALS = (1013, 4409)
"""Codes with which nobody is let in."""


async def meet(
    room: str,
    *,
    proxy_url: str | None = None,
    token: str | None = None,
    label: str = "",
    ordered: bool = True,
    max_retransmits: int | None = None,
    max_packet_life_time: int | None = None,
    protocol: str = "",
    ice_servers: Sequence[IceServer] = (),
    inbox_bytes: int = INBOX_BYTES,
    timeout: float | None = 120.0,
) -> DataChannel:
    """A data channel to the page that says the same: whoever comes first waits for the other.

    The proxy helps the two to find each other, and carries nothing of what they say on the channel. Whoever
    may use the proxy and knows the room's name may take the other side's place, and so may the proxy: among
    others choose a name that is hard to guess.

    Args:
        room: its name, of 1 to 64 printable characters. It is there while somebody waits in it.
        proxy_url: where the proxy is, as for ``pynet_browser.install``; None for the one that is installed.
        token: the proxy's token, if the address does not hold it.
        label: see ``PeerConnection.create_data_channel``, as for the next four. Each side says how what it
            sends itself is carried.
        ordered: see there.
        max_retransmits: see there.
        max_packet_life_time: see there.
        protocol: see there.
        ice_servers: see ``PeerConnection``; two pages of one network need none.
        inbox_bytes: see ``PeerConnection``.
        timeout: seconds to wait for the other and until the channel is open; None for no limit but the
            proxy's own, ten minutes.

    Returns:
        The channel, which is open. Closing it closes its connection, too.

    Raises:
        TimeoutError: nobody came, or no connection came about in time; the message says which.
        ConnectionRefusedError: two are in the room already, or there are too many rooms.
        ConnectionError: the two sides find no way to each other, or the room was closed.
        ProxyUnreachableError: the room cannot be entered.
        ValueError: ``room`` or ``proxy_url`` is none, no proxy is known, or there can be no such channel.
        NotInBrowserError: this Python does not run in a page.
        UnsupportedRuntimeError: this thread, or this browser, has no RTCPeerConnection.
    """
    server = _server(proxy_url, token)
    url = room_url(server.url, room)

    def make() -> DataChannel:
        connection = PeerConnection(ice_servers=ice_servers, inbox_bytes=inbox_bytes)
        # Both sides make the channel of this number, so that it needs nobody to take it.
        channel = connection.create_data_channel(
            label,
            ordered=ordered,
            max_retransmits=max_retransmits,
            max_packet_life_time=max_packet_life_time,
            protocol=protocol,
            id=0,
        )
        channel.closes_connection = True
        return channel

    async with AsyncExitStack() as stack:
        meeting = _Meeting(make)
        stack.push_async_callback(meeting.leave)
        line = await _entered(stack, url, server)
        try:
            async with asyncio.timeout(timeout):
                return await meeting.run(line)
        except TimeoutError:
            what = "the other side came, and no connection came about" if meeting.met else "nobody else came"
            raise TimeoutError(f"room {room!r}: {what} within {timeout:g} s") from None
        except ConnectionClosed as error:
            kind = ConnectionRefusedError if error.code in REFUSALS else ConnectionResetError
            code = errno.ECONNREFUSED if error.code in REFUSALS else errno.ECONNRESET
            raise kind(code, f"room {room!r}: {error.reason or error}") from None


def _server(url: str | None, token: str | None) -> Server:
    """The proxy in whose room they meet.

    Raises:
        ValueError: there is none.
    """
    options = installed()
    server = Server(options.kind, options.url, options.token) if url is None else server_at(url)
    if not server.url or server.kind != "proxy":
        raise ValueError(
            "pages meet at a proxy of pynet-browser's own: await pynet_browser.install(url) first, or say "
            "proxy_url"
        )
    return server if token is None else Server(server.kind, server.url, token)


async def _entered(stack: AsyncExitStack, url: str, server: Server) -> ClientConnection:
    protocols = [SUBPROTOCOL, *([f"token.{quote(server.token, safe='')}"] if server.token else [])]
    try:
        return await stack.enter_async_context(
            connect(url, subprotocols=protocols, close_timeout=LEAVE_TIMEOUT)
        )
    except InvalidHandshake:
        raise ProxyUnreachableError(
            errno.ENETUNREACH,
            f"the room at {url} cannot be entered: no proxy answers there, it refuses the token or this "
            "page's origin, or it has no rooms; what is the matter is told by "
            f"print(await pynet_browser.diagnose({server.url!r}, token=…))",
        ) from None


def _nonsense(said: str) -> ConnectionAbortedError:
    return ConnectionAbortedError(
        errno.ECONNABORTED, f"what the other side says in the room makes no sense: {said}"
    )


class _Meeting:
    """What one does in a room, until there is a channel.

    Attributes:
        met: whether the other has come.
    """

    def __init__(self, make: Callable[[], DataChannel]) -> None:
        self._make = make
        self._channel = make()
        self._given = False
        self._line: ClientConnection
        self._found: asyncio.Future[DataChannel] = asyncio.get_running_loop().create_future()
        self._described = False  # whether the other side is, so that candidates make sense
        self._tasks: set[asyncio.Task[None]] = set()
        self.met = False

    async def run(self, line: ClientConnection) -> DataChannel:
        """The channel, once it is open."""
        self._line = line
        self._start(self._follow())
        channel = await self._found
        self._given = True
        return channel

    async def leave(self) -> None:
        """Nothing more is to be done."""
        for task in self._tasks:
            task.cancel()
        if not self._given:
            await self._channel.close()

    async def _follow(self) -> None:
        """Do what is to be done about what is heard."""
        while True:
            match decode_event(str(await self._line.recv())):
                case "joined", _:
                    await self._offer()
                case "message", said:
                    await self._hear(said)
                case _:
                    pass  # the other may have left because his channel is open, and this one soon is, too

    async def _offer(self) -> None:
        """Another one has come: the first to be there begins."""
        channel = await self._attempt()
        await self._line.send(await channel.connection.create_offer(gathered=False))
        self._start(self._tell_candidates(channel))

    async def _hear(self, said: str) -> None:
        """The other one has said something."""
        kind = str(page_side().kindOf(said))
        if not kind:
            raise _nonsense(said[:100])
        try:
            if kind == "offer":
                channel = await self._attempt()
                answer = await channel.connection.accept(said, gathered=False)
                self._described = True
                await self._line.send(answer)
                self._start(self._tell_candidates(channel))
            elif not self.met:
                pass  # it was for somebody who has left
            elif kind == "answer":
                await self._channel.connection.set_remote_description(said)
                self._described = True
            elif self._described:
                with suppress(ValueError):  # one way less
                    await self._channel.connection.add_candidate(said)
        except ValueError as error:
            raise _nonsense(str(error)) from None

    async def _attempt(self) -> DataChannel:
        """The channel that is to be; a new one where it may be another one who has come."""
        if self.met:
            former, self._channel = self._channel, self._make()
            await former.close()
        self.met, self._described = True, False
        self._start(self._wait(self._channel))
        return self._channel

    async def _wait(self, channel: DataChannel) -> None:
        try:
            await channel.wait_open()
        except ChannelClosed:
            if self._channel is channel:
                raise
        else:
            if not self._found.done():
                self._found.set_result(channel)

    async def _tell_candidates(self, channel: DataChannel) -> None:
        async for candidate in channel.connection.candidates():
            await self._line.send(candidate)

    def _start(self, doing: Coroutine[Any, Any, None]) -> None:
        """Do this beside other things; should it fail, so has the meeting."""
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self._found.done():
            self._found.set_exception(error)
