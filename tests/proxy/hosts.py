"""TCP peers that tell what became of their connection."""

from __future__ import annotations

import socket
import struct
import threading

from tests.peers import TcpPeer, chunks


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
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        self.over.set()

    def reset(self) -> None:
        """Reset the connection now."""
        self.told.set()
        self.over.wait()

    def __exit__(self, *exception: object) -> None:
        self.told.set()
        super().__exit__(*exception)
