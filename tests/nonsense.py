"""What answers where a proxy is expected, and is none: gateways, portals, other servers."""

from __future__ import annotations

import socket
import threading

from tests.peers import TcpPeer, request_head

__all__ = ["NONSENSE", "Nonsense"]

CORS = b"Access-Control-Allow-Origin: *\r\n"


def _answer(status: bytes, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, CORS, size, body)


PORTAL = b"<!doctype html><title>Welcome to our network</title>" + b"Please accept our terms. " * 40

NONSENSE = {
    "a gateway's error": _answer(b"502 Bad Gateway", PORTAL),
    "a portal's page": _answer(b"200 OK", PORTAL),
    "nothing": _answer(b"200 OK", b""),
    "zeros": _answer(b"200 OK", bytes(1000)),
    "less than announced": _answer(b"200 OK", bytes(10), 1000),
    "a refusal of somebody else's": _answer(b"403 Forbidden", PORTAL),
    "a redirect": b"HTTP/1.1 302 Found\r\n%sLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n" % CORS,
    "no HTTP": b"220 mail.example ESMTP\r\n",
}
"""Answers to any request, after which the connection is closed."""


class Nonsense(TcpPeer):
    """Answers every request with the same bytes and closes; with none it closes at once.

    Attributes:
        asked: how many requests it has answered.
    """

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.asked = 0
        self._answer = answer

    def serve(self, connection: socket.socket) -> None:
        if not request_head(connection):
            return
        self.asked += 1
        connection.sendall(self._answer)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):  # a RST would take the answer back
            pass


class Endless(TcpPeer):
    """Answers with a body that has no end.

    Attributes:
        sent: how many bytes of it were sent to a client, at most.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self._lock = threading.Lock()

    def serve(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n%s\r\n" % CORS)
        piece, sent = bytes(1 << 16), 0
        while True:
            connection.sendall(piece)
            sent += len(piece)
            with self._lock:
                self.sent = max(self.sent, sent)
