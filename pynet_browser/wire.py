"""The wire format of docs/protocol.md: messages of frames, to and from bytes. Pure.

A *message* is what is numbered, acknowledged and replayed; it holds any number of *frames*, each about one
socket (or about the session itself, socket 0). ``js/wire.js`` is this file's twin; ``tests/vectors`` holds
them together. ``frames`` says what each frame holds.

All integers are big-endian. Every length is compared with what is there before it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pynet_browser.errors import ProtocolError
from pynet_browser.fields import SAFE_INTEGER_MAX, Buffer, Reader
from pynet_browser.frames import FRAMES, Data, Frame, Kind, Unrecognized

__all__ = [
    "FRAME_HEADER",
    "MESSAGE_HEADER",
    "MESSAGE_MAX",
    "VERSION",
    "Message",
    "MessageReader",
    "data_header",
    "encode_frame",
    "encode_message",
    "frames_of",
]

VERSION = 1

MESSAGE_HEADER = struct.Struct(">IQQ")
"""Bytes of frames that follow, number of the message (0: not numbered), last number received in order."""

FRAME_HEADER = struct.Struct(">BBII")
"""Kind, flags (none are defined yet), socket or request, bytes of payload that follow."""

MESSAGE_MAX = 1 << 20
"""Most bytes of frames in one message. Senders cut far below it; it bounds what a receiver must hold."""


def encode_frame(frame: Frame) -> bytes:
    """The bytes of a frame, header included.

    Raises:
        ValueError: a field does not fit its place on the wire.
    """
    if isinstance(frame, Data):
        return data_header(frame.socket, len(frame.data)) + frame.data
    payload = b"".join(field.write(getattr(frame, name)) for name, field in frame.LAYOUT)
    return _frame_header(frame.KIND, frame.socket, len(payload)) + payload


def data_header(socket: int, length: int) -> bytes:
    """The header of a ``Data`` frame whose ``length`` bytes the caller puts behind it without a copy."""
    return _frame_header(Kind.DATA, socket, length)


def _frame_header(kind: Kind, socket: int, length: int) -> bytes:
    try:
        return FRAME_HEADER.pack(kind, 0, socket, length)
    except struct.error as error:
        raise ValueError(f"socket {socket} or length {length} does not fit 4 bytes") from error


def encode_message(number: int, ack: int, parts: Sequence[Buffer]) -> bytes:
    """One message of the frames whose bytes are ``parts``, one after another.

    Raises:
        ValueError: they are too many, or a number does not fit its place.
    """
    size = sum(map(len, parts))
    if size > MESSAGE_MAX:
        raise ValueError(f"{size} bytes of frames in one message; at most {MESSAGE_MAX}")
    if not (0 <= number <= SAFE_INTEGER_MAX and 0 <= ack <= SAFE_INTEGER_MAX):
        raise ValueError(f"message number {number} or acknowledgement {ack} is not from 0 to 2^53 - 1")
    return b"".join((MESSAGE_HEADER.pack(size, number, ack), *parts))


class Message(NamedTuple):
    """A message as it arrived; its frames are not looked into yet."""

    number: int
    ack: int
    body: memoryview


def frames_of(body: memoryview) -> Iterator[Frame]:
    """The frames of a message's body, in order; a kind that is not known comes as ``Unrecognized``.

    Bytes behind the last known field of a frame are ignored: later versions put new fields there.
    ``Data`` frames hold views into ``body``.

    Raises:
        ProtocolError: a length reaches beyond the body, or a field is malformed.
    """
    at, end = 0, len(body)
    while at < end:
        if end - at < FRAME_HEADER.size:
            raise ProtocolError(f"{end - at} bytes at the end of a message are no frame header")
        kind, _flags, socket, length = FRAME_HEADER.unpack_from(body, at)
        at += FRAME_HEADER.size
        if length > end - at:
            raise ProtocolError(f"frame of {length} bytes in a message with {end - at} left")
        payload = body[at : at + length]
        at += length
        if kind == Kind.DATA:
            yield Data(socket, payload)
        elif frame_type := FRAMES.get(kind):
            reader = Reader(payload)
            yield frame_type(socket, *(field.read(reader) for _, field in frame_type.LAYOUT))
        else:
            yield Unrecognized(socket, kind)


class MessageReader:
    """Cuts a stream of bytes, in pieces of any size, into messages.

    A message that lies whole in one piece is not copied. At most one message of ``limit`` bytes is held.
    """

    def __init__(self, limit: int = MESSAGE_MAX) -> None:
        self._limit = limit
        self._held = bytearray()
        self._wanted = MESSAGE_HEADER.size

    @property
    def held(self) -> int:
        """Bytes of a message that is not whole yet."""
        return len(self._held)

    def feed(self, piece: Buffer) -> Iterator[Message]:
        """The messages that are whole with ``piece``; exhaust it before feeding again.

        Raises:
            ProtocolError: the stream cannot be understood from here on.
        """
        if self._held:
            self._held += piece
            if len(self._held) < self._wanted:
                return
            # What was held is given away, so that views into it stay valid.
            piece, self._held = self._held, bytearray()
        view = memoryview(piece).toreadonly()
        at, self._wanted = 0, MESSAGE_HEADER.size
        while len(view) - at >= MESSAGE_HEADER.size:
            size, number, ack = MESSAGE_HEADER.unpack_from(view, at)
            if size > self._limit:
                raise ProtocolError(f"message of {size} bytes; at most {self._limit}")
            if number > SAFE_INTEGER_MAX or ack > SAFE_INTEGER_MAX:
                raise ProtocolError("message number beyond 2^53 - 1")
            start = at + MESSAGE_HEADER.size
            if len(view) - start < size:
                self._wanted += size
                break
            at = start + size
            yield Message(number, ack, view[start:at])
        self._held += view[at:]
