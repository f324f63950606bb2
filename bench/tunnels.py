"""Ways from a program to TCP services, all driven alike: ours, websockify's, wisp-js's.

A *tunnel* is what one client has with a server: a session of ours, a WebSocket of Wisp's; websockify knows
none, so there a tunnel is one connection that idles. A *stream* is one TCP connection through it.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from typing import Protocol, Self

from websockets import ConnectionClosed
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.proxy.client import Page, PageSocket

__all__ = ["KINDS", "Direct", "Stream", "Tunnel", "exactly", "ours_url"]

PIECE = 64 * 1024
"""Bytes that a stream sends at once, and so in one message."""

WAITING = 16
"""Pieces that may wait in a stream that is not read; then the WebSocket waits."""


class Stream(Protocol):
    """One TCP connection."""

    async def send(self, data: bytes) -> None:
        """All of it, as fast as the server takes it."""

    async def recv(self) -> bytes:
        """What has come, or waits for something; nothing at the end."""

    def close(self) -> None:
        """Let go."""


class Tunnel(Protocol):
    """One client.

    Args:
        url: where the server is, with what it wants to see.
        port: of a service, for a tunnel that must lead somewhere.
    """

    def __init__(self, url: str, port: int) -> None: ...

    async def open(self) -> Self:
        """Be let in; returns itself."""

    async def connect(self, port: int) -> Stream:
        """A connection to a service on this machine, which stands."""

    async def close(self) -> None:
        """Leave, with all streams."""


async def exactly(stream: Stream, size: int) -> bytes:
    """So many bytes, which are all that comes.

    Raises:
        AssertionError: more or less has come.
    """
    data = await stream.recv()
    while len(data) < size:
        piece = await stream.recv()
        if not piece:
            raise AssertionError(f"the stream ended after {len(data)} of {size} bytes")
        data += piece
    if len(data) > size:
        raise AssertionError(f"{len(data)} bytes have come where {size} were sent")
    return data


class OursTunnel:
    """A session of our protocol. ``url`` is what :func:`ours_url` makes."""

    def __init__(self, url: str, _port: int) -> None:
        address, token, origin = url.split("#", 2)
        self._page = Page(address, token, origin=origin or None)

    async def open(self) -> Self:
        await self._page.open()
        return self

    async def connect(self, port: int) -> PageSocket:
        socket = self._page.connect("127.0.0.1", port)
        await socket.connected()
        return socket

    async def close(self) -> None:
        await self._page.close()


class WebsockifyStream:
    """A WebSocket of its own."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE):
            await self._socket.send(data[at : at + PIECE])

    async def recv(self) -> bytes:
        try:
            data = await self._socket.recv()
        except ConnectionClosed:
            return b""
        assert isinstance(data, bytes)
        return data

    def close(self) -> None:
        self._socket.transport.abort()


class WebsockifyTunnel:
    """WebSockets, one for each stream; ``url`` has ``PORT`` where the port of the service goes."""

    def __init__(self, url: str, port: int) -> None:
        self._url = url
        self._port = port
        self._streams: list[WebsockifyStream] = []

    async def open(self) -> Self:
        await self.connect(self._port)
        return self

    async def connect(self, port: int) -> WebsockifyStream:
        stream = WebsockifyStream(await opened(self._url.replace("PORT", str(port)), "binary"))
        self._streams.append(stream)
        return stream

    async def close(self) -> None:
        for stream in self._streams:
            stream.close()


class WispStream:
    """A stream of Wisp, version 1; it sends as much as it may."""

    def __init__(self, tunnel: WispTunnel, number: int, credit: int) -> None:
        self.credit = credit
        self.arrived: asyncio.Queue[bytes] = asyncio.Queue(WAITING)
        self.changed = asyncio.Event()
        self._tunnel = tunnel
        self._number = number

    async def send(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE):
            while self.credit <= 0:
                self.changed.clear()
                await self.changed.wait()
            self.credit -= 1
            await self._tunnel.send(WispTunnel.DATA, self._number, data[at : at + PIECE])

    async def recv(self) -> bytes:
        return await self.arrived.get()

    def close(self) -> None:
        self._tunnel.forget(self._number)


class WispTunnel:
    """A WebSocket of Wisp, version 1. A stream that is not read holds the others up: so is its protocol."""

    HEADER = struct.Struct("<BI")
    CONNECT, DATA, CONTINUE, CLOSE = 1, 2, 3, 4

    def __init__(self, url: str, _port: int) -> None:
        self._url = url
        self._streams: dict[int, WispStream] = {}
        self._numbers = 0

    async def open(self) -> Self:
        self._socket = await opened(self._url, None)
        first = await self._socket.recv()
        assert isinstance(first, bytes)
        (self._credit,) = struct.unpack_from("<I", first, self.HEADER.size)
        self._reading = asyncio.create_task(self._read())
        return self

    async def connect(self, port: int) -> WispStream:
        self._numbers += 1
        stream = self._streams[self._numbers] = WispStream(self, self._numbers, self._credit)
        await self.send(self.CONNECT, self._numbers, struct.pack("<BH", 1, port) + b"127.0.0.1")
        return stream

    async def send(self, kind: int, number: int, payload: bytes) -> None:
        await self._socket.send(self.HEADER.pack(kind, number) + payload)

    def forget(self, number: int) -> None:
        self._streams.pop(number, None)

    async def close(self) -> None:
        self._reading.cancel()
        self._socket.transport.abort()

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                message = await self._socket.recv()
                assert isinstance(message, bytes)
                kind, number = self.HEADER.unpack_from(message)
                if stream := self._streams.get(number):
                    await self._take(stream, kind, message[self.HEADER.size :])

    async def _take(self, stream: WispStream, kind: int, payload: bytes) -> None:
        if kind == self.DATA:
            await stream.arrived.put(payload)
        elif kind == self.CONTINUE:
            (stream.credit,) = struct.unpack("<I", payload)
            stream.changed.set()
        elif kind == self.CLOSE:
            await stream.arrived.put(b"")


class Direct:
    """No tunnel: a connection of the system's own, to tell what of a delay is the machine's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def recv(self) -> bytes:
        return await self._reader.read(PIECE)

    def close(self) -> None:
        self._writer.close()


async def opened(url: str, protocol: str | None) -> ClientConnection:
    """A WebSocket as all of these use it."""
    return await connect(
        url,
        subprotocols=[Subprotocol(protocol)] if protocol else None,
        compression=None,
        max_size=None,
        ping_interval=None,
        open_timeout=60,
        proxy=None,
    )


KINDS: dict[str, type[Tunnel]] = {"ours": OursTunnel, "websockify": WebsockifyTunnel, "wisp-js": WispTunnel}


def ours_url(url: str, token: str, origin: str = "") -> str:
    """What :class:`OursTunnel` is made of."""
    return f"{url}#{token}#{origin}"
