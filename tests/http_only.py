"""A network that lets plain HTTP through and no WebSockets, as some companies' and schools' do."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from tests.peers import TcpPeer, chunks, request_head

REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class HttpOnly(TcpPeer):
    """Passes connections on to ``target`` whose first request asks for no upgrade, and refuses others.

    Attributes:
        blocks: whether it does; a test may have it let all of them through.
        refused: how many it has refused.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__()
        self.blocks = True
        self.refused = 0
        self._target = target

    def serve(self, connection: socket.socket) -> None:
        head = request_head(connection)
        if not head:
            return
        if self.blocks and b"\r\nupgrade: websocket\r\n" in head.lower():
            self.refused += 1
            connection.sendall(REFUSAL)
            return
        with socket.create_connection(self._target) as onward:
            onward.sendall(head)
            back = threading.Thread(target=_pass, args=[onward, connection])
            back.start()
            _pass(connection, onward)
            back.join()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    try:
        for data in chunks(source):
            sink.sendall(data)
    except OSError:
        # Whoever is cut off at one end is cut off at the other.
        with suppress(OSError):
            source.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
