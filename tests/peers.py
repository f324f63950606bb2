"""Peers with one plain habit each, for tests of what a socket does when its peer does that.

Each is a real socket on loopback, most with threads behind it, and is used with ``with``::

    with ResetAfter(read=10) as peer:
        socket.create_connection(peer.address)
"""

from __future__ import annotations

import hashlib
import select
import socket
import struct
import sys
import threading
from array import array
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

CHUNK = 65536


def pattern(size: int, offset: int = 0) -> bytes:
    """Bytes ``offset`` to ``offset + size`` of an endless counter: what is lost or repeated shows.

    Byte ``4 * n`` starts the little-endian 32-bit number ``n``.
    """
    words = array("I", range(offset // 4, (offset + size) // 4 + 1))
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()[offset % 4 :][:size]


class TcpPeer:
    """Accepts connections on a free port and hands each to `serve` in a thread of its own.

    Attributes:
        host: The address it listens on.
        port: Its port.
        accepted: How many connections it has accepted.
    """

    def __init__(self, host: str = "127.0.0.1", receive_buffer: int | None = None) -> None:
        """Listens at once; ``receive_buffer`` bounds what the kernel takes while nobody reads."""
        self._listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind((host, 0))
        self._listener.listen(512)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        self._closing = False
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept_all)]

    @property
    def address(self) -> tuple[str, int]:
        """What ``connect`` wants."""
        return self.host, self.port

    def serve(self, connection: socket.socket) -> None:
        """Does what this peer does with one connection, which is closed afterwards."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        with suppress(OSError):  # wakes accept()
            socket.create_connection(self.address, timeout=1).close()
        self._threads[0].join()
        self._listener.close()
        for connection in self._connections:
            with suppress(OSError):  # wakes recv() and send()
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept_all(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._closing:
                connection.close()
                return
            self.accepted += 1
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve_and_close, args=[connection])
            self._threads.append(thread)
            thread.start()

    def _serve_and_close(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client may go away at any time
            self.serve(connection)


def chunks(connection: socket.socket) -> Iterator[bytes]:
    """What a connection receives until its end."""
    while data := connection.recv(CHUNK):
        yield data


class Echo(TcpPeer):
    """Sends back what it receives, until the end."""

    def serve(self, connection: socket.socket) -> None:
        for data in chunks(connection):
            connection.sendall(data)


class HashAtEnd(TcpPeer):
    """Reads until the client's half-close, then answers with the SHA-256 in hexadecimal and closes."""

    def serve(self, connection: socket.socket) -> None:
        digest = hashlib.sha256()
        for data in chunks(connection):
            digest.update(data)
        connection.sendall(digest.hexdigest().encode())


class Recorder(TcpPeer):
    """Reads until the end and remembers the SHA-256, for `Recorded` to be asked about."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__(host)
        self.digests: set[str] = set()
        self.changed = threading.Condition()

    def serve(self, connection: socket.socket) -> None:
        digest = hashlib.sha256()
        for data in chunks(connection):
            digest.update(data)
        with self.changed:
            self.digests.add(digest.hexdigest())
            self.changed.notify_all()


class Recorded(TcpPeer):
    """Reads a SHA-256 in hexadecimal and answers "yes" once the recorder has seen data of that digest."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def serve(self, connection: socket.socket) -> None:
        wanted = connection.recv(64, socket.MSG_WAITALL).decode()
        with self._recorder.changed:
            self._recorder.changed.wait_for(lambda: wanted in self._recorder.digests, 15)
        connection.sendall(b"yes" if wanted in self._recorder.digests else b"no")


class Source(TcpPeer):
    """Sends `pattern(size)` at once, without being asked, then closes."""

    def __init__(self, size: int, host: str = "127.0.0.1") -> None:
        super().__init__(host)
        self.size = size

    def serve(self, connection: socket.socket) -> None:
        step = 1 << 20
        for offset in range(0, self.size, step):
            connection.sendall(pattern(min(step, self.size - offset), offset))


class Exchange(TcpPeer):
    """Sends and reads at once, each client bytes of its own.

    It reads a number (4 bytes, little-endian) and sends ``pattern(size, number * size)``. Meanwhile it reads
    until the client's half-close, and answers that with the SHA-256 in hexadecimal of what came behind the
    number.
    """

    def __init__(self, size: int, ahead: int) -> None:
        """It never sends more than ``ahead`` bytes beyond as many as it has read."""
        super().__init__()
        self._size, self._ahead = size, ahead

    def serve(self, connection: socket.socket) -> None:
        number = int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "little")
        data = memoryview(pattern(self._size, number * self._size))
        digest = hashlib.sha256()
        sent = read = 0
        connection.setblocking(False)
        while True:
            allowed = data[sent : read + self._ahead]
            readable, writable, _ = select.select([connection], [connection] if allowed else [], [])
            if writable:
                sent += connection.send(allowed)
            if readable:
                piece = connection.recv(CHUNK)
                if not piece:
                    break
                digest.update(piece)
                read += len(piece)
        connection.setblocking(True)
        connection.sendall(data[sent:])
        connection.sendall(digest.hexdigest().encode())


class Silent(TcpPeer):
    """Accepts, and then neither reads nor writes until it is stopped."""

    def __init__(self, host: str = "127.0.0.1", receive_buffer: int | None = None) -> None:
        super().__init__(host, receive_buffer)
        self._stopped = threading.Event()

    def serve(self, connection: socket.socket) -> None:
        self._stopped.wait()

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        super().__exit__(*exception)


class ResetAfter(TcpPeer):
    """Sends ``send`` bytes of the pattern, reads ``read`` bytes, then resets the connection (RST)."""

    def __init__(self, read: int = 0, send: int = 0, host: str = "127.0.0.1") -> None:
        super().__init__(host)
        self._read, self._send = read, send

    def serve(self, connection: socket.socket) -> None:
        connection.sendall(pattern(self._send))
        left = self._read
        while left and (data := connection.recv(min(left, CHUNK))):
            left -= len(data)
        # Closing with a linger time of zero is how a program asks for a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class DatagramEcho:
    """Sends each UDP datagram back to where it came from."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self._closing = False
        self._thread = threading.Thread(target=self._echo_all)

    @property
    def address(self) -> tuple[str, int]:
        """What ``sendto`` wants."""
        return self.host, self.port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        with socket.socket(self._socket.family, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self.address)
        self._thread.join()
        self._socket.close()

    def _echo_all(self) -> None:
        while True:
            data, sender = self._socket.recvfrom(CHUNK)
            if self._closing:
                return
            with suppress(OSError):  # the answer may find no room
                self._socket.sendto(data, sender)


def request_head(connection: socket.socket) -> bytes:
    """What an HTTP client sends until its header has ended, and what came with that; nothing if it leaves."""
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(CHUNK)
        if not data:
            return b""
        head += data
    return head


class Refusing:
    """A port that refuses: it is bound, so nobody else gets it, but it does not listen."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._socket.bind((host, 0))
        self.host = host
        self.port: int = self._socket.getsockname()[1]

    @property
    def address(self) -> tuple[str, int]:
        """What ``connect`` wants."""
        return self.host, self.port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class Unanswering:
    """A port at which a connect is neither accepted nor refused, so that it must time out.

    Its queue of connections is full: Linux then drops every further SYN. No address outside this machine
    is involved, so the test does not depend on somebody's firewall.
    """

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.host = "127.0.0.1"
        self.port: int = self._listener.getsockname()[1]
        self._fillers: list[socket.socket] = []

    @property
    def address(self) -> tuple[str, int]:
        """What ``connect`` wants."""
        return self.host, self.port

    def __enter__(self) -> Self:
        while True:
            filler = socket.socket()
            filler.settimeout(0.5)
            self._fillers.append(filler)
            try:
                filler.connect(self.address)
            except TimeoutError:
                return self

    def __exit__(self, *_: object) -> None:
        for filler in self._fillers:
            filler.close()
        self._listener.close()
