"""The WebSocket of a foreign client: what is sent waits here, is counted, and leaves in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from aiohttp import WSMsgType, web

from pynet_browser.proxy.app import CONFIG, SESSIONS
from pynet_browser.proxy.compat.arrival import PayloadCounter
from pynet_browser.proxy.endpoint import Traffic
from pynet_browser.proxy.websockets import CLOSE_TIMEOUT, close_reason

__all__ = ["FLUSH_TIMEOUT", "Channel"]

FLUSH_TIMEOUT = 60.0
"""Seconds in which a peer must have taken what was sent before the close."""

Sent: TypeAlias = Callable[[int, int], None]


def _nothing() -> None:
    pass


class Channel:
    """One WebSocket, after its handshake, which must not answer pings by itself.

    Args:
        socket: it.
        transport: the connection under it.
        keepalive: seconds between pings. One that is silent from one to the next is given up, unless nobody
            here reads, or the peer does not: then its answer could not come.
        traffic: what all of its kind have carried.

    Attributes:
        socket: it.
        waiting: bytes that were pushed and have not been handed over.
        unfinished: bytes that have come and that nobody was given yet, such as those of a message whose end
            is missing.
        grown: called when there are more of those.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        keepalive: float,
        traffic: Traffic,
    ) -> None:
        self.socket = socket
        self._traffic = traffic
        self._transport = transport
        self._keepalive = keepalive
        self.waiting = 0
        self.unfinished = 0
        self.grown: Callable[[], None] = _nothing
        self._queue: deque[tuple[bytes, int, int]] = deque()
        self._awake = asyncio.Event()
        self._ending: tuple[int, bytes] | None = None
        self._cutting: asyncio.TimerHandle | None = None
        self._reading = False
        self._heard = True

    @classmethod
    async def accept(
        cls, request: web.Request, kind: str, protocols: Sequence[str], message_max: int
    ) -> Channel:
        """Upgrade a request of somebody who has been let in, to speak a protocol of this kind."""
        socket = web.WebSocketResponse(
            protocols=protocols, compress=False, autoping=False, max_msg_size=message_max + 1
        )
        traffic = request.app[SESSIONS].carried[kind]
        channel = cls(socket, request.transport, request.app[CONFIG].keepalive, traffic)
        _Meter.install(request, channel)
        await socket.prepare(request)
        return channel

    # ── Sending ────────────────────────────────────────────────────────────────────────────────────

    def push(self, message: bytes, about: int = 0, size: int = 0) -> None:
        """Send a message; ``write`` tells about which stream it was, and how much of it that has sent."""
        if self._ending is None:
            self._queue.append((message, about, size))
            self.waiting += len(message)
            self._awake.set()

    def finish(self, code: int, reason: str = "") -> None:
        """Close when what was pushed has been sent; the first code counts."""
        if self._ending is None:
            self._ending = code, close_reason(reason)
            self._cutting = asyncio.get_running_loop().call_later(FLUSH_TIMEOUT, self.cut)
            self._awake.set()

    @property
    def finished(self) -> bool:
        """Whether it is being closed."""
        return self._ending is not None

    @property
    def gone(self) -> bool:
        """Whether the connection is no more, also where nobody reads who would learn it."""
        return self._transport is None or self._transport.is_closing()

    def drop(self) -> None:
        """Send nothing more of what was pushed."""
        self._queue.clear()
        self.waiting = 0

    def cut(self) -> None:
        """End the connection at once."""
        if self._transport:
            self._transport.abort()

    async def write(self, sent: Sent) -> None:
        """Send what is pushed, until the end."""
        try:
            with contextlib.suppress(ConnectionError):
                while self._queue or self._ending is None:
                    while self._queue:
                        message, about, size = self._queue.popleft()
                        await self.socket.send_bytes(message)
                        self._traffic.sent += len(message)
                        self.waiting = max(0, self.waiting - len(message))
                        sent(about, size)
                    if self._ending is None:
                        await self._awake.wait()
                        self._awake.clear()
                await self._close()
        finally:
            self.grown = _nothing  # of somebody who is done, and would need Python's collector
            if self._cutting:
                self._cutting.cancel()

    async def _close(self) -> None:
        assert self._ending
        code, reason = self._ending
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.socket.close(code=code, message=reason)
        except TimeoutError:
            self.cut()

    # ── Receiving ──────────────────────────────────────────────────────────────────────────────────

    def came(self, size: int) -> None:
        """So many bytes more of messages are there."""
        self._traffic.received += size
        self.unfinished += size
        self.grown()

    def stop_reading(self) -> None:
        """Take nothing more in."""
        if self._transport and not self._transport.is_closing():
            self._transport.pause_reading()

    async def receive(self) -> bytes | str | None:
        """The next message; None when there will be no more."""
        self._reading = True
        try:
            while True:
                message = await self.socket.receive()
                self._heard = True
                match message.type:
                    case WSMsgType.BINARY | WSMsgType.TEXT:
                        data: bytes | str = message.data
                        self.unfinished -= len(data if isinstance(data, bytes) else data.encode())
                        return data
                    case WSMsgType.PING:
                        with contextlib.suppress(ConnectionError):
                            await self.socket.pong(message.data)
                    case WSMsgType.PONG:
                        pass
                    case _:
                        return None
        finally:
            self._reading = False

    async def watch(self) -> None:
        """Ping, and end a connection that does not answer; returns when it is no more."""
        with contextlib.suppress(ConnectionError):
            while not self.gone:
                asked, self._heard = not self.waiting, False
                if asked:
                    await self.socket.ping()
                await asyncio.sleep(self._keepalive)
                if asked and self._reading and not self._heard and not self.waiting:
                    self.cut()
                    return


class _Meter(asyncio.Protocol):
    """Counts what comes in on a connection, in the place of its protocol, which gets it all the same.

    The library puts the fragments of a message together, and tells nobody how much it has until all is there.
    """

    def __init__(self, inner: asyncio.Protocol, channel: Channel) -> None:
        self._inner = inner
        self._channel = channel
        self._counter = PayloadCounter()
        self.connection_lost = inner.connection_lost  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        """Count it, and pass it on."""
        self._inner.data_received(data)
        self._count(data)

    def _count(self, data: bytes) -> None:
        if size := self._counter.feed(data):
            self._channel.came(size)

    @classmethod
    def install(cls, request: web.Request, channel: Channel) -> None:
        """From what has come behind the request on."""
        transport = request.transport
        if transport is None:
            return
        meter = cls(request.protocol, channel)
        meter._count(getattr(request.protocol, "_message_tail", b""))  # where the library keeps it
        transport.set_protocol(meter)
