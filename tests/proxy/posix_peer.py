"""A program whose POSIX sockets Emscripten proxies, byte by byte: what its C library sends and reads.

It knows nothing of the proxy's own codec. Its mistakes are those of the original.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import AsyncIterator
from typing import NamedTuple

from websockets import ClientConnection

from tests.proxy.foreign import ENCODED_TOKEN, connect
from tests.proxy.running import RunningProxy

__all__ = ["Answer", "E", "Program", "program", "sockaddr"]

E = {
    "EACCES": 2, "EADDRINUSE": 3, "EAFNOSUPPORT": 5, "EAGAIN": 6, "EBADF": 8, "ECONNREFUSED": 14,
    "EDESTADDRREQ": 17, "EINVAL": 28, "EISCONN": 30, "EMFILE": 33, "ENOPROTOOPT": 50, "ENOSYS": 52,
    "ENOTCONN": 53, "EPERM": 63, "EPROTONOSUPPORT": 66, "ETIMEDOUT": 73, "ESOCKTNOSUPPORT": 137,
    "EOPNOTSUPP": 138,
}  # fmt: skip
"""Emscripten's numbers."""


class Answer(NamedTuple):
    """What came for a call."""

    ret: int
    errno: int
    extra: bytes


def sockaddr(host: str, port: int) -> bytes:
    """``struct sockaddr_in`` or ``sockaddr_in6`` of musl."""
    if ":" in host:
        return (
            struct.pack("<H", 10)
            + struct.pack(">H", port)
            + bytes(4)
            + socket.inet_pton(socket.AF_INET6, host)
            + bytes(4)
        )
    return struct.pack("<H", 2) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)


class Program:
    """Makes calls; any number of them at once, as its threads would."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self.unexpected: list[bytes] = []
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.ws:
            assert isinstance(message, bytes)
            number, ret, error = struct.unpack_from("<Iii", message)
            if waiting := self._waiting.pop(number, None):
                waiting.set_result(Answer(ret, error, message[12:]))
            else:
                self.unexpected.append(message)

    def start(self, function: int, body: bytes, *, whole: bytes | None = None) -> asyncio.Future[Answer]:
        """Send a call; ``whole`` instead of what it should be."""
        number = next(self.numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        message = struct.pack("<II", number, function) + body if whole is None else whole
        sending = asyncio.create_task(self.ws.send(message))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        return answer

    async def call(self, function: int, body: bytes, *, whole: bytes | None = None) -> Answer:
        """Make a call and wait for its answer, which the original does for ever."""
        return await asyncio.wait_for(self.start(function, body, whole=whole), 10)

    async def socket(self, domain: int = 2, type_: int = 1, protocol: int = 0) -> int:
        ret, error, _ = await self.call(1, struct.pack("<iii", domain, type_, protocol))
        assert ret >= 0, error
        return ret

    async def shutdown(self, fd: int, how: int) -> Answer:
        return await self.call(3, struct.pack("<ii", fd, how))

    async def bind(self, fd: int, host: str, port: int) -> Answer:
        return await self._to_address(4, fd, host, port)

    async def connect(self, fd: int, host: str, port: int) -> Answer:
        return await self._to_address(5, fd, host, port)

    async def _to_address(self, function: int, fd: int, host: str, port: int) -> Answer:
        address = sockaddr(host, port)
        return await self.call(function, struct.pack("<iI", fd, len(address)) + address)

    async def connected(self, host: str, port: int) -> int:
        fd = await self.socket(10 if ":" in host else 2)
        assert await self.connect(fd, host, port) == (0, 0, b"")
        return fd

    async def listen(self, fd: int, backlog: int = 5) -> Answer:
        return await self.call(6, struct.pack("<ii", fd, backlog))

    def accept(self, fd: int, room: int = 128) -> asyncio.Future[Answer]:
        return self.start(7, struct.pack("<iI", fd, room))

    async def name(self, function: int, fd: int, room: int = 256) -> Answer:
        """``getsockname`` (8) or ``getpeername`` (9), with as much of the message as the original sends."""
        number = next(self.numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        message = struct.pack("<IIiI", number, function, fd, room)
        await self.ws.send(message[: max(0, 16 + min(room, 256) - 256)])
        return await asyncio.wait_for(answer, 10)

    async def send(self, fd: int, data: bytes, flags: int = 0, claimed: int | None = None) -> Answer:
        length = len(data) if claimed is None else claimed
        return await self.call(10, struct.pack("<iIi", fd, length, flags) + data)

    def recv(self, fd: int, length: int, flags: int = 0) -> asyncio.Future[Answer]:
        return self.start(11, struct.pack("<iIi", fd, length, flags))

    async def sendto(self, fd: int, data: bytes, host: str, port: int, claimed: int | None = None) -> Answer:
        address = sockaddr(host, port) if host else b""
        length = len(data) if claimed is None else claimed
        head = struct.pack("<iIiI", fd, length, 0, len(address))
        return await self.call(12, head + address.ljust(256, b"\0") + data)

    def recvfrom(self, fd: int, length: int, flags: int = 0, room: int = 128) -> asyncio.Future[Answer]:
        return self.start(13, struct.pack("<iIiI", fd, length, flags, room))

    async def getsockopt(self, fd: int, level: int, name: int, room: int = 4) -> Answer:
        return await self.call(16, struct.pack("<iiiI", fd, level, name, room))

    async def setsockopt(self, fd: int, level: int, name: int, value: bytes) -> Answer:
        return await self.call(17, struct.pack("<iiiI", fd, level, name, len(value)) + value)

    async def getaddrinfo(
        self, node: str, service: str = "", hints: tuple[int, int, int, int] | None = None
    ) -> tuple[int, str, list[tuple[int, int, int, bytes]]]:
        """Code, canonical name, and (family, type, protocol, address) of each entry."""
        body = node.encode().ljust(2048, b"\0") + service.encode().ljust(128, b"\0")
        ret, _, extra = await self.call(
            18, body + struct.pack("<iiiii", int(hints is not None), *(hints or (0,) * 4))
        )
        assert len(extra) >= 2064 - 12
        (count,) = struct.unpack_from("<I", extra, 2048)
        entries, at = [], 2052
        for _ in range(count):
            _, family, type_, protocol, size = struct.unpack_from("<iiiiI", extra, at)
            entries.append((family, type_, protocol, extra[at + 20 : at + 20 + size]))
            at += 20 + size
        assert at == len(extra)
        return ret, extra[:2048].partition(b"\0")[0].decode(), entries


@contextlib.asynccontextmanager
async def program(proxy: RunningProxy) -> AsyncIterator[Program]:
    """One that has been let in."""
    async with connect(proxy, f"/posix?token={ENCODED_TOKEN}") as ws:
        running = Program(ws)
        try:
            yield running
        finally:
            running.reading.cancel()
