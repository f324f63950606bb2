"""What is said in Wisp, versions 1 and 2 (draft 6): packets, one in each binary message. Pure.

A packet is its type (u8), the number of its stream (u32) and what it carries; integers are little-endian.
Stream 0 is the connection itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from pynet_browser.errors import ProtocolError

__all__ = [
    "HEADER",
    "Close",
    "Connect",
    "Continue",
    "Credentials",
    "Data",
    "Extension",
    "Info",
    "Packet",
    "Reason",
    "StreamType",
    "Unknown",
    "decode",
    "encode",
]

HEADER = struct.Struct("<BI")
_CONNECT = struct.Struct("<BH")
_CREDIT = struct.Struct("<I")
_INFO = struct.Struct("<BB")
_EXTENSION = struct.Struct("<BI")
_LENGTH = struct.Struct("<H")


class Type(IntEnum):
    """Kinds of packets."""

    CONNECT = 1
    DATA = 2
    CONTINUE = 3
    CLOSE = 4
    INFO = 5


class StreamType(IntEnum):
    """What a stream leads over."""

    TCP = 1
    UDP = 2


class Reason(IntEnum):
    """Why a stream, or the connection, is closed."""

    UNKNOWN = 0x01
    VOLUNTARY = 0x02
    NETWORK_ERROR = 0x03
    INCOMPATIBLE = 0x04
    INVALID = 0x41
    UNREACHABLE = 0x42
    TIMED_OUT = 0x43
    REFUSED = 0x44
    TRANSFER_TIMED_OUT = 0x47
    BLOCKED = 0x48
    THROTTLED = 0x49
    WRONG_PASSWORD = 0xC0
    CREDENTIALS_MISSING = 0xC2


class Extension(IntEnum):
    """Extensions of version 2 that this side knows."""

    UDP = 1
    PASSWORD = 2
    OPEN_CONFIRMATION = 5


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a stream; data may follow at once."""

    stream: int
    type: int
    port: int
    host: str


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a stream, or one datagram."""

    stream: int
    data: bytes | memoryview


@dataclass(frozen=True, slots=True)
class Continue:
    """The server takes so many packets of data more; that replaces what it said before."""

    stream: int
    credit: int


@dataclass(frozen=True, slots=True)
class Close:
    """The stream is over, both ways."""

    stream: int
    reason: int


@dataclass(frozen=True, slots=True)
class Info:
    """Version and extensions, each with what it carries."""

    major: int
    minor: int
    extensions: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    """A packet of a kind that only others know."""

    stream: int
    type: int


Packet: TypeAlias = Connect | Data | Continue | Close | Info | Unknown


def encode(packet: Packet) -> bytes:
    """The bytes of a packet.

    Raises:
        ValueError: ``Unknown`` has none.
    """
    match packet:
        case Connect(stream, type_, port, host):
            return HEADER.pack(Type.CONNECT, stream) + _CONNECT.pack(type_, port) + host.encode()
        case Data(stream, data):
            return b"".join([HEADER.pack(Type.DATA, stream), data])
        case Continue(stream, credit):
            return HEADER.pack(Type.CONTINUE, stream) + _CREDIT.pack(credit)
        case Close(stream, reason):
            return HEADER.pack(Type.CLOSE, stream) + bytes([reason])
        case Info(major, minor, extensions):
            entries = b"".join(_EXTENSION.pack(id_, len(body)) + body for id_, body in extensions)
            return HEADER.pack(Type.INFO, 0) + _INFO.pack(major, minor) + entries
        case Unknown(type=type_):
            raise ValueError(f"packets of type {type_:#x} are unknown")


def decode(message: bytes) -> Packet:
    """The packet that a message is; data is a view of it.

    Raises:
        ProtocolError: it is none.
    """
    if len(message) < HEADER.size:
        raise ProtocolError(f"a packet of {len(message)} bytes")
    type_, stream = HEADER.unpack_from(message)
    body = memoryview(message)[HEADER.size :]
    try:
        match type_:
            case Type.DATA:  # first, since nearly all packets are
                return Data(stream, body)
            case Type.CONNECT:
                kind, port = _CONNECT.unpack_from(body)
                return Connect(stream, kind, port, str(body[_CONNECT.size :], "utf-8"))
            case Type.CONTINUE:
                return Continue(stream, *_CREDIT.unpack(body))
            case Type.CLOSE:
                return Close(stream, body[0])
            case Type.INFO:
                major, minor = _INFO.unpack_from(body)
                return Info(major, minor, tuple(_extensions(body[_INFO.size :])))
            case _:
                return Unknown(stream, type_)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ProtocolError(f"a packet of type {type_} that is malformed: {error}") from error


def _extensions(body: memoryview) -> Iterator[tuple[int, bytes]]:
    while body:
        id_, size = _EXTENSION.unpack_from(body)
        if len(body) < _EXTENSION.size + size:
            raise ProtocolError(f"extension {id_} of {size} bytes in {len(body) - _EXTENSION.size}")
        yield id_, bytes(body[_EXTENSION.size : _EXTENSION.size + size])
        body = body[_EXTENSION.size + size :]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the extension for passwords carries from a client."""

    user: str
    password: str

    @classmethod
    def of(cls, extensions: Iterable[tuple[int, bytes]]) -> Credentials | None:
        """Those in an ``Info``, if there are any.

        Older clients say behind the length of the user's name, in two bytes, that of the password too.

        Raises:
            ProtocolError: they are malformed.
        """
        body = next((body for id_, body in extensions if id_ == Extension.PASSWORD), b"")
        if not body:
            return None
        size, rest = body[0], body[1:]
        if len(rest) >= _LENGTH.size and len(rest) == _LENGTH.size + size + _LENGTH.unpack_from(rest)[0]:
            rest = rest[_LENGTH.size :]
        if size > len(rest):
            raise ProtocolError(f"the name of a user of {size} bytes in {len(rest)}")
        try:
            return cls(rest[:size].decode(), rest[size:].decode())
        except UnicodeDecodeError as error:
            raise ProtocolError(f"credentials that are no text: {error}") from error
