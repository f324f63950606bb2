"""Host sockets of programs that believe they call POSIX: blocking calls that wait without a thread."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from pynet_browser.proxy.endpoint import Traffic, host_error, watching_loop, wire_address
from pynet_browser.proxy.peers import Peer, Peers
from pynet_browser.proxy.udp import DATAGRAM_MAX

if TYPE_CHECKING:
    from pynet_browser.proxy.compat.posix import PosixClient

__all__ = ["DONTWAIT", "PEEK", "WAITALL", "PosixSocket"]

T = TypeVar("T")

OOB, PEEK, DONTWAIT, WAITALL = 0x1, 0x2, 0x40, 0x100
"""Flags of ``send`` and ``recv`` in musl; others change nothing that can be seen from there."""

DATAGRAM_ROOM = 65535


class PosixSocket:
    """One socket, with a number that its program takes for a file descriptor.

    Attributes:
        id: that number.
        host: the host's socket, non-blocking.
        stream: whether it is of TCP, or half a pair.
        receive_timeout, send_timeout: seconds that a call may wait; 0 for ever.
        any_port: it was bound to whatever port was free.
        shut: it was shut down both ways, which also wakes those who wait to receive.
        sending: held by the call that sends now, so that what two threads send does not mix.
        peers: of a UDP socket: whom it may send to and hear.
        kind, traffic, where, since, ended: see ``Endpoint``.
    """

    def __init__(self, client: PosixClient, fd: int, host: socket.socket) -> None:
        self.id = fd
        self.host = host
        self.stream = host.type == socket.SOCK_STREAM
        self.receive_timeout = 0.0
        self.send_timeout = 0.0
        self.any_port = False
        self.shut = False
        self.sending = asyncio.Lock()
        self.peers = None if self.stream else Peers(client, host)
        self._client = client
        self._loop = watching_loop()
        self._readers: set[asyncio.Future[None]] = set()
        self._writers: set[asyncio.Future[None]] = set()
        self._connected = False
        self._closed = False
        self.kind = "tcp" if self.stream else "udp"
        self.traffic = Traffic()
        self.where = ""
        self.since = None if self.stream else time.monotonic()
        self.ended = ""

    def stands(self, where: str, kind: str = "") -> str:
        """It can be used from now on."""
        self.kind = kind or self.kind
        self.where = where
        self.since = time.monotonic()
        return where

    @property
    def state(self) -> str:
        """What it is doing."""
        if self.kind == "listener":
            return "listening"
        return "connected" if self.since is not None else "idle"

    # ── What its owner asks ────────────────────────────────────────────────────────────────────────

    def go_on(self) -> None:
        """It reads when it is called, and asks for room then."""

    def abort(self) -> None:
        """Let go of the host's socket; calls that wait for it are told."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self.host)
        self._loop.remove_writer(self.host)
        if self.peers:
            self.peers.forget()
        self.host.close()
        self._wake(self._readers)
        self._wake(self._writers)
        self._client.forget(self)

    # ── Waiting ────────────────────────────────────────────────────────────────────────────────────

    async def readable(self, deadline: float | None) -> None:
        """Wait until it may be readable.

        Raises:
            OSError: ``EAGAIN`` when the deadline has passed, ``EBADF`` when it was closed.
        """
        if not self._readers:
            self._loop.add_reader(self.host, self._ready, self._readers, self._loop.remove_reader)
        await self._wait(self._readers, self._loop.remove_reader, deadline)

    async def writable(self, deadline: float | None) -> None:
        """Wait until it may be writable.

        Raises:
            OSError: ``EAGAIN`` when the deadline has passed, ``EBADF`` when it was closed.
        """
        if not self._writers:
            self._loop.add_writer(self.host, self._ready, self._writers, self._loop.remove_writer)
        await self._wait(self._writers, self._loop.remove_writer, deadline)

    async def _wait(
        self, waiting: set[asyncio.Future[None]], unwatch: Callable[[Any], object], deadline: float | None
    ) -> None:
        ready = self._loop.create_future()
        waiting.add(ready)
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                await ready
        except TimeoutError:
            raise host_error(errno.EAGAIN) from None
        finally:
            waiting.discard(ready)
            if not waiting and not self._closed:
                unwatch(self.host)
        if self._closed:
            raise host_error(errno.EBADF)

    def _ready(self, waiting: set[asyncio.Future[None]], unwatch: Callable[[Any], object]) -> None:
        unwatch(self.host)
        self._wake(waiting)

    @staticmethod
    def _wake(waiting: set[asyncio.Future[None]]) -> None:
        woken = list(waiting)
        waiting.clear()
        for ready in woken:
            if not ready.done():
                ready.set_result(None)

    def deadline(self, timeout: float, flags: int = 0) -> float | None:
        """Until when a call may wait."""
        if flags & DONTWAIT:
            return 0.0
        return time.monotonic() + timeout if timeout else None

    # ── Receiving ──────────────────────────────────────────────────────────────────────────────────

    async def receive(self, size: int, flags: int) -> tuple[bytes | memoryview, tuple[Any, ...] | None]:
        """What ``recv`` and ``recvfrom`` give: bytes, and of a datagram where it came from.

        The bytes may stand where others are read to later: the caller takes them from there at once.

        Raises:
            OSError: the host's, or of waiting.
        """
        deadline = self.deadline(self.receive_timeout, flags)
        if self.peers:
            return await self._receive_datagram(self.peers, size, flags & PEEK, deadline)
        try:
            data = await self._receive_some(size, flags, deadline)
        except OSError:
            if self.shut:
                return b"", None
            raise
        if flags & WAITALL and not flags & (PEEK | DONTWAIT):
            return await self._receive_all(bytes(data), size, deadline), None
        return data, None

    async def _receive_some(self, size: int, flags: int, deadline: float | None) -> memoryview:
        scratch = self._client.scratch

        def receive() -> memoryview:
            brake = self._client.receiving
            most = size if brake is None or not size else max(1, brake.within(size))
            came = self.host.recv_into(scratch[:most], 0, _host_flags(flags)) if size else 0
            if not flags & PEEK:
                self.traffic.received += came
                if brake is not None:
                    brake.spend(came)
            return scratch[:came]

        return await self._until_read(receive, deadline)

    async def _receive_all(self, data: bytes, size: int, deadline: float | None) -> bytes:
        pieces, left = [data], size - len(data)
        held = 0
        try:
            while left and pieces[-1]:
                held += len(pieces[-1])
                if not self._client.hold(len(pieces[-1])):
                    break
                try:
                    pieces.append(bytes(await self._receive_some(left, 0, deadline)))
                except OSError:
                    break  # what has come is there to be had
                left -= len(pieces[-1])
        finally:
            self._client.released(held)
        return b"".join(pieces)

    async def _receive_datagram(
        self, peers: Peers, size: int, peek: int, deadline: float | None
    ) -> tuple[bytes, tuple[Any, ...] | None]:
        def receive() -> tuple[bytes, Peer | None]:
            data, name = self.host.recvfrom(DATAGRAM_ROOM, _host_flags(peek))
            source = peers.source(name)
            if source is None and peek:
                self.host.recvfrom(0)
            return data, source

        while True:
            data, source = await self._until_read(receive, deadline)
            if source and (peek or self._client.heard_datagrams.allows(time.monotonic())):
                if not peek:
                    self.traffic.received += len(data)
                    if self._client.receiving is not None:
                        self._client.receiving.spend(len(data))
                return data[:size], source.name

    async def accept(self) -> tuple[socket.socket, tuple[Any, ...]]:
        """What ``accept`` gives.

        Raises:
            OSError: the host's, or of waiting.
        """
        return await self._until_read(self.host.accept, self.deadline(self.receive_timeout))

    async def _until_read(self, read: Callable[[], T], deadline: float | None) -> T:
        """Read when there is something, and the client has room for it."""
        while True:
            await self._client.until_room()
            if self._closed:
                raise host_error(errno.EBADF)
            try:
                return read()
            except BlockingIOError:
                if deadline == 0:
                    raise
            await self.readable(deadline)

    # ── Sending ────────────────────────────────────────────────────────────────────────────────────

    async def send(self, data: memoryview, flags: int) -> int:
        """Send all, or what goes out at once with ``DONTWAIT``, or before the timeout; tells how much.

        Raises:
            OSError: nothing was sent.
        """
        if self.peers:
            return self.send_datagram(data, self.peers.associate)
        deadline = self.deadline(self.send_timeout, flags)
        sent = 0
        async with self.sending:
            while not self._closed:
                try:
                    size = await self._send_some(data[sent:], _host_flags(flags & OOB), deadline)
                    sent += size
                    self.traffic.sent += size
                    if sent == len(data) or deadline == 0:
                        return sent
                    await self.writable(deadline)
                except BlockingIOError:
                    if deadline == 0 or (deadline is not None and time.monotonic() >= deadline):
                        return _at_least_some(sent)
                    with contextlib.suppress(BlockingIOError):
                        await self.writable(deadline)
                except OSError:
                    if sent:
                        return sent
                    raise
        raise host_error(errno.EBADF)

    async def _send_some(self, data: memoryview, flags: int, deadline: float | None) -> int:
        brake = self._client.sending
        if brake is None:
            return self.host.send(data, flags)
        if deadline == 0 and not brake.within(1):
            raise BlockingIOError
        size = self.host.send(data[: await brake.pause(len(data))], flags)
        brake.spend(size)
        return size

    def send_datagram(self, data: memoryview, peer: Peer | None) -> int:
        """Send a datagram; one that is too much is dropped, as on its way.

        Raises:
            OSError: it cannot be sent.
        """
        assert self.peers
        if peer is None:
            raise host_error(errno.EDESTADDRREQ)
        if len(data) > DATAGRAM_MAX:
            raise host_error(errno.EMSGSIZE)
        brake = self._client.sending
        too_much = brake is not None and not brake.within(1)
        if not too_much and self._client.sent_datagrams.allows(time.monotonic()):
            if brake is not None:
                brake.spend(len(data))
            with contextlib.suppress(BlockingIOError):
                if peer is self.peers.associate:
                    self.host.send(data)
                else:
                    self.host.sendto(data, peer.name)
            self.traffic.sent += len(data)
            self.peers.sent()
        else:
            self.traffic.dropped += 1
        return len(data)

    def destination(self, host: str, port: int) -> Peer:
        """Where a datagram for this address goes.

        Raises:
            OSError: nowhere.
        """
        if self.peers is None:
            raise host_error(errno.EISCONN)
        return self.peers.destination(wire_address((host, port)))

    async def connect(self, name: tuple[str, int], timeout: float) -> None:
        """Connect a stream.

        Raises:
            OSError: the host's, or ``ETIMEDOUT``.
        """
        if (
            self._connected
        ):  # of which Linux says nothing the first time, as the first call did not wait for it
            raise host_error(errno.EISCONN)
        number = self.host.connect_ex(name)
        if number in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            try:
                await self.writable(time.monotonic() + timeout)
            except BlockingIOError:
                raise host_error(errno.ETIMEDOUT) from None
            number = self.host.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise host_error(number)
        self._connected = True


def _host_flags(flags: int) -> int:
    return (socket.MSG_OOB if flags & OOB else 0) | (socket.MSG_PEEK if flags & PEEK else 0)


def _at_least_some(sent: int) -> int:
    if sent:
        return sent
    raise host_error(errno.EAGAIN)
