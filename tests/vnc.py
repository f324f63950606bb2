"""A screen that VNC's clients can see: just enough of RFB 3.8 (RFC 6143) to show one colour."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from tests.peers import TcpPeer

WIDTH, HEIGHT = 48, 32
COLOUR = bytes((0x30, 0x80, 0xC0))
"""Red, green, blue of every pixel."""

PIXEL_FORMAT = struct.Struct("!BBBBHHHBBB3x")
"""A pixel: its bits, byte order, whether it has colours; the largest red, green, blue; where they stand."""

VERSION = b"RFB 003.008\n"
NO_AUTHENTICATION = 1
SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, KEY, POINTER = 0, 2, 3, 4, 5
SIZES = {KEY: 7, POINTER: 5}
"""Bytes behind the kind of messages that change nothing here."""


class Screen(TcpPeer):
    """Shows one colour.

    Attributes:
        updates: How often a client has asked for pixels and got them.
    """

    updates = 0

    def serve(self, connection: socket.socket) -> None:
        """Greets a client, and answers what it asks until it goes."""
        stream = connection.makefile("rb")

        def read(size: int) -> bytes:
            data = stream.read(size)
            if len(data) < size:
                raise EOFError
            return data

        try:
            connection.sendall(VERSION)
            read(len(VERSION))
            connection.sendall(bytes((1, NO_AUTHENTICATION)))
            read(1)  # the choice of the only one
            connection.sendall(bytes(4))
            read(1)  # whether others may look, too
            form = PIXEL_FORMAT.pack(32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
            connection.sendall(struct.pack("!HH", WIDTH, HEIGHT) + form + struct.pack("!I", 6) + b"screen")
            shifts: tuple[int, ...] = 16, 8, 0
            while True:
                shifts = self._answer(connection, read, shifts)
        except EOFError:
            return

    def _answer(
        self, connection: socket.socket, read: Callable[[int], bytes], shifts: tuple[int, ...]
    ) -> tuple[int, ...]:
        """Answer one message; gives where a pixel's colours stand from then on."""
        kind = read(1)[0]
        if kind == SET_PIXEL_FORMAT:
            return tuple(PIXEL_FORMAT.unpack(read(19)[3:])[7:])
        if kind == SET_ENCODINGS:  # every client takes raw pixels
            read(4 * int(struct.unpack("!xH", read(3))[0]))
        elif kind != UPDATE_REQUEST:
            read(SIZES[kind])
        elif not read(9)[0]:  # not only what has changed
            pixel = sum(value << shift for value, shift in zip(COLOUR, shifts, strict=True))
            head = struct.pack("!BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0)
            connection.sendall(head + pixel.to_bytes(4, "little") * (WIDTH * HEIGHT))
            self.updates += 1
        return shifts
