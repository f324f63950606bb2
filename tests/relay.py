"""A TCP relay that cuts connections, as networks do."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

from tests.peers import TcpPeer, chunks


class CuttingRelay(TcpPeer):
    """Passes bytes on to ``target``, and resets each connection after so many bytes in both directions.

    Attributes:
        cuts: How many connections it has cut.
    """

    def __init__(self, target: tuple[str, int], after: Iterator[int]) -> None:
        """``after`` gives each connection's number of bytes; when it ends, connections are left alone."""
        super().__init__()
        self.cuts = 0
        self._target = target
        self._after = after
        self._lock = threading.Lock()

    def serve(self, connection: socket.socket) -> None:
        with socket.create_connection(self._target) as onward:
            with self._lock:
                left = next(self._after, None)
            relayed = _Relayed(connection, onward, left)
            back = threading.Thread(target=relayed.pump, args=[onward, connection])
            back.start()
            relayed.pump(connection, onward)
            back.join()
            if relayed.was_cut:
                self.cuts += 1


class _Relayed:
    """One connection through the relay."""

    def __init__(self, one: socket.socket, other: socket.socket, left: int | None) -> None:
        self._ends = (one, other)
        self._left = left
        self._lock = threading.Lock()
        self.was_cut = False

    def pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            for data in chunks(source):
                with self._lock:
                    if self._left is not None and self._left < len(data):
                        self._cut(sink, data)
                        return
                    if self._left is not None:
                        self._left -= len(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            self._close()

    def _cut(self, sink: socket.socket, data: bytes) -> None:
        """In the middle of what was to be passed on, so that messages are torn."""
        self.was_cut = True
        sink.sendall(data[: self._left])
        self._left = 0
        self._close()

    def _close(self) -> None:
        for end in self._ends:
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the other direction was faster
