"""Peers on the host that tell what became of a connection, or what they heard."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import AsyncIterator
from typing import Self

from pynet_browser.fields import Address
from tests.peers import TcpPeer, chunks

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""Value of ``SO_LINGER`` with which closing a connection resets it."""


class Witness(TcpPeer):
    """Reads until the end, from when it is let, and remembers.

    Attributes:
        may_read: it does not read before this is set.
        client: where its client came from.
        received: what it was sent.
        ending: ``"FIN"`` or ``"RST"``.
        over: set when there is an ending.
    """

    def __init__(self, host: str = "127.0.0.1", receive_buffer: int | None = None) -> None:
        super().__init__(host, receive_buffer)
        self.may_read = threading.Event()
        self.may_read.set()
        self.client: tuple[str, int] | None = None
        self.received = bytearray()
        self.ending = ""
        self.over = threading.Event()

    def serve(self, connection: socket.socket) -> None:
        self.client = connection.getpeername()[:2]
        self.may_read.wait()
        try:
            for data in chunks(connection):
                self.received += data
            self.ending = "FIN"
        except ConnectionResetError:
            self.ending = "RST"
        self.over.set()

    def __exit__(self, *exception: object) -> None:
        self.may_read.set()
        super().__exit__(*exception)


class Sink(TcpPeer):
    """Reads until the end, and keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.data = bytearray()
        self.ended = False

    def serve(self, connection: socket.socket) -> None:
        for data in chunks(connection):
            self.data += data
        self.ended = True


class EndsFirst(TcpPeer):
    """Sends ``greeting`` and a FIN, then reads until the end.

    Attributes:
        received: what it read.
        over: set at the end.
    """

    def __init__(self, greeting: bytes) -> None:
        super().__init__()
        self._greeting = greeting
        self.received = b""
        self.over = threading.Event()

    def serve(self, connection: socket.socket) -> None:
        connection.sendall(self._greeting)
        connection.shutdown(socket.SHUT_WR)
        self.received = b"".join(chunks(connection))
        self.over.set()


class ResetsWhenTold(TcpPeer):
    """Sends ``greeting``, reads nothing, and resets the connection when ``told`` is set; ``over`` is then."""

    def __init__(self, greeting: bytes) -> None:
        super().__init__()
        self._greeting = greeting
        self.told = threading.Event()
        self.over = threading.Event()

    def serve(self, connection: socket.socket) -> None:
        connection.sendall(self._greeting)
        self.told.wait()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        connection.close()
        self.over.set()

    def reset(self) -> None:
        """Reset the connection now."""
        self.told.set()
        self.over.wait()

    def __exit__(self, *exception: object) -> None:
        self.told.set()
        super().__exit__(*exception)


class Guest:
    """A connection that the host makes to a listener of a page.

    Attributes:
        reader: what the page sends.
        writer: what it is sent.
        address: where the connection comes from.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.address: tuple[str, int] = writer.get_extra_info("sockname")[:2]

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, address: Address) -> AsyncIterator[Self]:
        """Make one, and close it in the end."""
        reader, writer = await asyncio.open_connection(*address[1:])
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    def reset(self) -> None:
        """Reset it at once."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.writer.transport.abort()


class UdpHost:
    """A UDP socket on loopback that keeps what it hears; use it with ``with``, in an event loop.

    Attributes:
        address: its host and port.
        socket: it.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        try:
            self.socket.bind((host, port))
        except OSError:
            self.socket.close()
            raise
        self.address: tuple[str, int] = self.socket.getsockname()[:2]
        self._heard: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self.socket, self._readable)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()

    def _readable(self) -> None:
        data, source = self.socket.recvfrom(65535)
        self.hear(data, source[:2])

    def hear(self, data: bytes, source: tuple[str, int]) -> None:
        """A datagram has come."""
        self._heard.put_nowait((data, source))

    def send(self, data: bytes, host: str, port: int) -> None:
        """Send a datagram."""
        self.socket.sendto(data, (host, port))

    async def recv(self) -> tuple[bytes, tuple[str, int]]:
        """The next datagram, and where it came from."""
        return await self._heard.get()

    def heard(self) -> int:
        """How many datagrams wait to be received."""
        return self._heard.qsize()


class UdpEcho(UdpHost):
    """Sends back what it hears."""

    def hear(self, data: bytes, source: tuple[str, int]) -> None:
        self.send(data, *source)
