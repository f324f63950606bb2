"""Clients as others wrote them, for measuring servers: they do as little as they can, and always the same."""

from __future__ import annotations

import itertools
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Self

__all__ = ["Posix", "Websockify", "Wisp"]

PIECE = 64 * 1024
POSIX_PIECE = 256 * 1024
MASKED = bytes(4)
"""A mask that changes nothing; servers apply it as any other."""

CLOSED = "the server has closed the connection"


class RawWebSocket:
    """A WebSocket that blocks, after its handshake."""

    def __init__(self, address: tuple[str, int], path: str, protocol: str = "") -> None:
        self._socket = socket.create_connection(address, timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        offer = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n{offer}"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        self._buffer = bytearray()
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if b" 101 " not in head:
            raise ConnectionError(head.decode())
        self._buffer = bytearray(rest)
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, *parts: bytes) -> None:
        """One binary message."""
        size = sum(map(len, parts))
        if size < 126:
            head = struct.pack("!BB", 0x82, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x82, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x82, 0x80 | 127, size)
        self._socket.sendall(b"".join((head, MASKED, *parts)))

    def message(self) -> memoryview:
        """The next binary frame's payload, valid until the next call."""
        while True:
            while (found := self._frame()) is None:
                if self._at:
                    del self._buffer[: self._at]
                    self._at = 0
                self._fill()
            opcode, payload = found
            if opcode in (0, 2):
                return payload
            if opcode == 8:
                raise ConnectionError(CLOSED)

    def _frame(self) -> tuple[int, memoryview] | None:
        have = len(self._buffer) - self._at
        if have < 2:
            return None
        first, size = self._buffer[self._at], self._buffer[self._at + 1] & 0x7F
        head = {126: 4, 127: 10}.get(size, 2)
        if have < head:
            return None
        if head > 2:
            size = int.from_bytes(self._buffer[self._at + 2 : self._at + head])
        if have < head + size:
            return None
        start = self._at + head
        self._at = start + size
        return first & 0x0F, memoryview(bytes(self._buffer[start : self._at]))

    def _fill(self) -> None:
        data = self._socket.recv(1 << 20)
        if not data:
            raise ConnectionError(CLOSED)
        self._buffer += data


class Stream:
    """One connection to a service, through whatever."""

    def send(self, data: bytes) -> None:
        """All of it."""
        raise NotImplementedError

    def pieces(self) -> Iterator[int]:
        """How many bytes have come, again and again."""
        raise NotImplementedError

    def down(self, size: int) -> float:
        """Bytes a second from ``source``."""
        start = time.perf_counter()
        self.send(size.to_bytes(8))
        left = size
        for count in self.pieces():
            left -= count
            if left <= 0:
                break
        return size / (time.perf_counter() - start)

    def up(self, size: int) -> float:
        """Bytes a second to ``sink``."""
        piece = bytes(PIECE)
        start = time.perf_counter()
        self.send(size.to_bytes(8))
        for at in range(0, size, PIECE):
            self.send(piece[: min(PIECE, size - at)])
        next(self.pieces())
        return size / (time.perf_counter() - start)


class Websockify(Stream):
    """A WebSocket for each connection."""

    def __init__(self, address: tuple[str, int], path: str) -> None:
        self.socket = RawWebSocket(address, path, "binary")

    def send(self, data: bytes) -> None:
        """All of it, in one message."""
        self.socket.send(data)

    def pieces(self) -> Iterator[int]:
        """Each message."""
        while True:
            yield len(self.socket.message())


class Wisp(Stream):
    """A stream of Wisp, version 1; it sends as much as it may."""

    HEADER = struct.Struct("<BI")

    def __init__(self, address: tuple[str, int], path: str, port: int) -> None:
        self.socket = RawWebSocket(address, path)
        self._credit = 0
        self._packet()
        self.socket.send(self.HEADER.pack(1, 1), struct.pack("<BH", 1, port), b"127.0.0.1")

    def _packet(self) -> int:
        message = self.socket.message()
        kind, _ = self.HEADER.unpack_from(message)
        if kind == 3:
            (self._credit,) = struct.unpack_from("<I", message, self.HEADER.size)
        elif kind == 4:
            raise ConnectionError(CLOSED)
        return len(message) - self.HEADER.size if kind == 2 else 0

    def send(self, data: bytes) -> None:
        """All of it, in one packet."""
        while not self._credit:
            self._packet()
        self._credit -= 1
        self.socket.send(self.HEADER.pack(2, 1), data)

    def pieces(self) -> Iterator[int]:
        """Each packet of data."""
        while True:
            if count := self._packet():
                yield count


class Posix:
    """A program with one thread: a call, its answer, the next call."""

    def __init__(self, address: tuple[str, int], path: str) -> None:
        self.socket = RawWebSocket(address, path)
        self._numbers = itertools.count(1)

    def _call(self, function: int, *body: bytes) -> tuple[int, memoryview]:
        self.socket.send(struct.pack("<II", next(self._numbers), function), *body)
        answer = self.socket.message()
        _, result, error = struct.unpack_from("<Iii", answer)
        if result < 0:
            raise OSError(error, f"function {function} has failed")
        return result, answer[12:]

    def connected(self, port: int) -> int:
        """A descriptor of a connection to a service."""
        fd, _ = self._call(1, struct.pack("<iii", 2, 1, 0))
        name = struct.pack("<H", 2) + struct.pack(">H", port) + bytes((127, 0, 0, 1)) + bytes(8)
        self._call(5, struct.pack("<iI", fd, len(name)), name)
        return fd

    def send(self, fd: int, data: bytes) -> int:
        """``send()``."""
        return self._call(10, struct.pack("<iIi", fd, len(data), 0), data)[0]

    def recv(self, fd: int, size: int) -> int:
        """``recv()``."""
        return self._call(11, struct.pack("<iIi", fd, size, 0))[0]

    def calls(self, port: int, seconds: float) -> float:
        """Calls a second, of 32 bytes there and back by turns."""
        fd = self.connected(port)

        def turn() -> int:
            self.send(fd, bytes(32))
            self.recv(fd, 32)
            return 2

        return _rate(turn, seconds)

    def down(self, port: int, seconds: float) -> float:
        """Bytes a second from ``source``."""
        fd = self.connected(port)
        self.send(fd, (1 << 50).to_bytes(8))
        return _rate(lambda: self.recv(fd, POSIX_PIECE), seconds)

    def up(self, port: int, seconds: float) -> float:
        """Bytes a second to ``sink``."""
        fd, piece = self.connected(port), bytes(POSIX_PIECE)
        self.send(fd, (1 << 50).to_bytes(8))
        return _rate(lambda: self.send(fd, piece), seconds)


def _rate(turn: Callable[[], int], seconds: float) -> float:
    """What turns do in all, a second."""
    start, done = time.perf_counter(), 0
    while (now := time.perf_counter()) - start < seconds:
        done += turn()
    return done / (now - start)
