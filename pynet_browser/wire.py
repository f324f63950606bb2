"""The wire format of docs/protocol.md: messages of frames, to and from bytes. Pure.

A *message* is what is numbered, acknowledged and replayed; it holds any number of *frames*, each about one
socket (or about the session itself, socket 0). ``js/wire.js`` is this file's twin; ``tests/vectors`` holds
them together.

All integers are big-endian. Every length is compared with what is there before it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple, TypeAlias

from pynet_browser.errors import ProtocolError

__all__ = [
    "FRAME_HEADER",
    "MESSAGE_HEADER",
    "MESSAGE_MAX",
    "VERSION",
    "Accepted",
    "Address",
    "Associate",
    "Associated",
    "Bind",
    "Bound",
    "Buffer",
    "Close",
    "Connect",
    "Connected",
    "Data",
    "Datagram",
    "Done",
    "Dropped",
    "Failed",
    "Fault",
    "Frame",
    "Goaway",
    "Hello",
    "Kind",
    "Listen",
    "Message",
    "MessageReader",
    "Open",
    "Option",
    "Ping",
    "Pong",
    "Refused",
    "Reset",
    "Resolve",
    "Resolved",
    "Reverse",
    "Reversed",
    "Shutdown",
    "Unknown",
    "Unrecognized",
    "Welcome",
    "Window",
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

SAFE_INTEGER_MAX = (1 << 53) - 1
"""Largest u64 value allowed: what a JavaScript number holds exactly."""

Buffer: TypeAlias = bytes | bytearray | memoryview


class Kind(IntEnum):
    """First byte of a frame."""

    HELLO = 0x01
    WELCOME = 0x02
    REFUSED = 0x03
    GOAWAY = 0x04
    PING = 0x05
    PONG = 0x06
    UNKNOWN = 0x07
    CONNECT = 0x10
    CONNECTED = 0x11
    DATA = 0x12
    WINDOW = 0x13
    SHUTDOWN = 0x14
    CLOSE = 0x15
    RESET = 0x16
    OPEN = 0x17
    ACCEPTED = 0x18
    DATAGRAM = 0x19
    DROPPED = 0x1A
    FAULT = 0x1B
    RESOLVE = 0x20
    RESOLVED = 0x21
    REVERSE = 0x22
    REVERSED = 0x23
    FAILED = 0x24
    BIND = 0x25
    BOUND = 0x26
    LISTEN = 0x27
    ASSOCIATE = 0x28
    ASSOCIATED = 0x29
    OPTION = 0x2A
    DONE = 0x2B


ADDRESS_FAMILIES = (4, 6)


class Address(NamedTuple):
    """An IP address and port. ``family`` is 4 or 6; ``host`` is numeric."""

    family: int
    host: str
    port: int


# ── Fields ──────────────────────────────────────────────────────────────────────────────────────────────


class _Reader:
    """Reads fields one after another out of a frame's payload, never past its end."""

    def __init__(self, payload: memoryview) -> None:
        self._payload = payload
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._payload) - self._at

    def take(self, size: int) -> memoryview:
        end = self._at + size
        if size > self.left:
            raise ProtocolError(f"frame payload ends early: {size} bytes wanted, {self.left} left")
        piece = self._payload[self._at : end]
        self._at = end
        return piece


class _Integer:
    def __init__(self, size: int) -> None:
        self._size = size
        self._max = min((1 << 8 * size) - 1, SAFE_INTEGER_MAX)

    def write(self, value: int) -> bytes:
        if not 0 <= value <= self._max:
            raise ValueError(f"{value} does not fit {self._size} bytes")
        return value.to_bytes(self._size, "big")

    def read(self, reader: _Reader) -> int:
        value = int.from_bytes(reader.take(self._size), "big")
        if value > self._max:
            raise ProtocolError(f"integer {value} is beyond 2^53 - 1")
        return value


U8, U16, U32, U64 = (_Integer(size) for size in (1, 2, 4, 8))


class _Text:
    """UTF-8 behind a u16 length in bytes."""

    def write(self, value: str) -> bytes:
        data = value.encode()
        return U16.write(len(data)) + data

    def read(self, reader: _Reader) -> str:
        try:
            return str(reader.take(U16.read(reader)), "utf-8")
        except UnicodeDecodeError as error:
            raise ProtocolError(f"text is not UTF-8: {error}") from error


class _AddressField:
    def write(self, value: Address) -> bytes:
        if value.family not in ADDRESS_FAMILIES:
            raise ValueError(f"address family {value.family} is neither 4 nor 6")
        return U8.write(value.family) + U16.write(value.port) + TEXT.write(value.host)

    def read(self, reader: _Reader) -> Address:
        family, port, host = U8.read(reader), U16.read(reader), TEXT.read(reader)
        if family not in ADDRESS_FAMILIES:
            raise ProtocolError(f"address family {family} is neither 4 nor 6")
        return Address(family, host, port)


class _List:
    """Items behind a u16 count."""

    def __init__(self, item: Any) -> None:
        self._item = item

    def write(self, value: Sequence[Any]) -> bytes:
        return U16.write(len(value)) + b"".join(self._item.write(item) for item in value)

    def read(self, reader: _Reader) -> tuple[Any, ...]:
        return tuple(self._item.read(reader) for _ in range(U16.read(reader)))


class _Rest:
    """Bytes up to the end of the payload; nothing can follow them."""

    def write(self, value: Buffer) -> Buffer:
        return value

    def read(self, reader: _Reader) -> memoryview:
        return reader.take(reader.left)


TEXT = _Text()
ADDRESS = _AddressField()
TEXTS = _List(TEXT)
REST = _Rest()


# ── Frames ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Frame:
    """Base of all frames.

    Attributes:
        socket: what the frame is about: a socket's id, a request's id, or 0 for the session.
    """

    socket: int

    KIND: ClassVar[Kind]
    LAYOUT: ClassVar[tuple[tuple[str, Any], ...]] = ()


@dataclass(frozen=True, slots=True)
class Hello(Frame):
    """First frame of a client on every carrier. ``session`` is empty for a new session."""

    version: int
    token: str
    session: str
    key: str
    seen: int
    window: int
    replay: int
    features: tuple[str, ...]
    agent: str

    KIND = Kind.HELLO
    LAYOUT = (
        ("version", U16),
        ("token", TEXT),
        ("session", TEXT),
        ("key", TEXT),
        ("seen", U64),
        ("window", U32),
        ("replay", U32),
        ("features", TEXTS),
        ("agent", TEXT),
    )


@dataclass(frozen=True, slots=True)
class Welcome(Frame):
    """The proxy's answer to ``Hello``. Times are in milliseconds, sizes in bytes."""

    version: int
    session: str
    key: str
    seen: int
    window: int
    replay: int
    grace: int
    keepalive: int
    features: tuple[str, ...]
    agent: str

    KIND = Kind.WELCOME
    LAYOUT = (
        ("version", U16),
        ("session", TEXT),
        ("key", TEXT),
        ("seen", U64),
        ("window", U32),
        ("replay", U32),
        ("grace", U32),
        ("keepalive", U32),
        ("features", TEXTS),
        ("agent", TEXT),
    )


@dataclass(frozen=True, slots=True)
class _Reason(Frame):
    code: str
    message: str

    LAYOUT = (("code", TEXT), ("message", TEXT))


@dataclass(frozen=True, slots=True)
class Refused(_Reason):
    """The proxy's other answer to ``Hello``: a word for programs and a sentence for people."""

    KIND = Kind.REFUSED


@dataclass(frozen=True, slots=True)
class Goaway(_Reason):
    """The session ends, or will take no new sockets; ``code`` says why."""

    KIND = Kind.GOAWAY


@dataclass(frozen=True, slots=True)
class Reset(_Reason):
    """The socket is gone at once, both ways. ``code`` is an errno or EAI name."""

    KIND = Kind.RESET


@dataclass(frozen=True, slots=True)
class Failed(_Reason):
    """A request (``Resolve``, ``Reverse``) cannot be answered. ``code`` is an errno or EAI name."""

    KIND = Kind.FAILED


@dataclass(frozen=True, slots=True)
class _Stamp(Frame):
    stamp: int

    LAYOUT = (("stamp", U64),)


@dataclass(frozen=True, slots=True)
class Ping(_Stamp):
    """Asks the peer to answer on this carrier with the same stamp."""

    KIND = Kind.PING


@dataclass(frozen=True, slots=True)
class Pong(_Stamp):
    """The answer to ``Ping``."""

    KIND = Kind.PONG


@dataclass(frozen=True, slots=True)
class Unknown(Frame):
    """Answer to a frame of a kind the receiver does not know; never sent in answer to itself."""

    kind: int

    KIND = Kind.UNKNOWN
    LAYOUT = (("kind", U8),)


@dataclass(frozen=True, slots=True)
class Unrecognized(Frame):
    """What a frame of a kind that is not known here is read as; it is answered with ``Unknown``."""

    kind: int


@dataclass(frozen=True, slots=True)
class Connect(Frame):
    """Make a TCP connection. ``family`` 4, 6 or 0 for either; ``timeout`` in ms, 0 for the proxy's own."""

    family: int
    port: int
    timeout: int
    host: str

    KIND = Kind.CONNECT
    LAYOUT = (("family", U8), ("port", U16), ("timeout", U32), ("host", TEXT))


@dataclass(frozen=True, slots=True)
class Connected(Frame):
    """The connection stands: the addresses of both ends as the proxy's host sees them."""

    local: Address
    peer: Address

    KIND = Kind.CONNECTED
    LAYOUT = (("local", ADDRESS), ("peer", ADDRESS))


@dataclass(frozen=True, slots=True)
class Data(Frame):
    """Bytes of the stream. Counts against the receiver's window."""

    data: Buffer

    KIND = Kind.DATA
    LAYOUT = (("data", REST),)


@dataclass(frozen=True, slots=True)
class Window(Frame):
    """The receiver of data lets its sender send ``credit`` more bytes."""

    credit: int

    KIND = Kind.WINDOW
    LAYOUT = (("credit", U32),)


@dataclass(frozen=True, slots=True)
class Shutdown(Frame):
    """The sender will send no more data on this socket (a FIN)."""

    KIND = Kind.SHUTDOWN


@dataclass(frozen=True, slots=True)
class Close(Frame):
    """The client has closed the socket; what it sent before still goes out."""

    KIND = Kind.CLOSE


@dataclass(frozen=True, slots=True)
class Open(Frame):
    """A socket that will be bound before it connects, will listen, or (``datagram`` 1) sends datagrams."""

    datagram: int
    family: int

    KIND = Kind.OPEN
    LAYOUT = (("datagram", U8), ("family", U8))


@dataclass(frozen=True, slots=True)
class Accepted(Frame):
    """A connection to ``listener`` stands; ``socket`` is the (even) id the proxy gives it."""

    listener: int
    local: Address
    peer: Address

    KIND = Kind.ACCEPTED
    LAYOUT = (("listener", U32), ("local", ADDRESS), ("peer", ADDRESS))


@dataclass(frozen=True, slots=True)
class Datagram(Frame):
    """A datagram: from the client with where it goes, from the proxy with where it came from."""

    address: Address
    data: Buffer

    KIND = Kind.DATAGRAM
    LAYOUT = (("address", ADDRESS), ("data", REST))


@dataclass(frozen=True, slots=True)
class Dropped(Frame):
    """So many datagrams of this socket were thrown away, either way, since this was last told."""

    count: int

    KIND = Kind.DROPPED
    LAYOUT = (("count", U32),)


@dataclass(frozen=True, slots=True)
class Fault(_Reason):
    """An error that the socket reports once and survives: a datagram was refused."""

    KIND = Kind.FAULT


@dataclass(frozen=True, slots=True)
class Resolve(Frame):
    """Ask for addresses of ``host`` (may be empty) and the port of ``service`` (may be empty)."""

    family: int
    host: str
    service: str

    KIND = Kind.RESOLVE
    LAYOUT = (("family", U8), ("host", TEXT), ("service", TEXT))


@dataclass(frozen=True, slots=True)
class Resolved(Frame):
    """Answer to ``Resolve``: the canonical name, and each address with the service's port (or 0)."""

    port: int
    canonical: str
    addresses: tuple[Address, ...]

    KIND = Kind.RESOLVED
    LAYOUT = (("port", U16), ("canonical", TEXT), ("addresses", _List(ADDRESS)))


@dataclass(frozen=True, slots=True)
class Reverse(Frame):
    """Ask for the name of an address and of a port (``datagram``: 1 for UDP's service names)."""

    address: Address
    datagram: int

    KIND = Kind.REVERSE
    LAYOUT = (("address", ADDRESS), ("datagram", U8))


@dataclass(frozen=True, slots=True)
class Reversed(Frame):
    """Answer to ``Reverse``; a name that is not known is empty."""

    host: str
    service: str

    KIND = Kind.REVERSED
    LAYOUT = (("host", TEXT), ("service", TEXT))


@dataclass(frozen=True, slots=True)
class Bind(Frame):
    """Give socket ``target`` an address of the proxy's host; an empty ``host`` is any, port 0 a free one."""

    target: int
    port: int
    host: str

    KIND = Kind.BIND
    LAYOUT = (("target", U32), ("port", U16), ("host", TEXT))


@dataclass(frozen=True, slots=True)
class Bound(Frame):
    """Answer to ``Bind`` and ``Listen``: the address that socket has now."""

    local: Address

    KIND = Kind.BOUND
    LAYOUT = (("local", ADDRESS),)


@dataclass(frozen=True, slots=True)
class Listen(Frame):
    """Let socket ``target`` accept; the client takes in ``backlog`` connections before it grants more."""

    target: int
    backlog: int

    KIND = Kind.LISTEN
    LAYOUT = (("target", U32), ("backlog", U32))


@dataclass(frozen=True, slots=True)
class Associate(Frame):
    """Connect a datagram socket: it hears from this peer alone, and of its refusals."""

    target: int
    port: int
    host: str

    KIND = Kind.ASSOCIATE
    LAYOUT = (("target", U32), ("port", U16), ("host", TEXT))


@dataclass(frozen=True, slots=True)
class Associated(Frame):
    """Answer to ``Associate``: the addresses of both ends."""

    local: Address
    peer: Address

    KIND = Kind.ASSOCIATED
    LAYOUT = (("local", ADDRESS), ("peer", ADDRESS))


@dataclass(frozen=True, slots=True)
class Option(Frame):
    """Set a socket option by its name in C; see docs/protocol.md for the ``values`` of each."""

    target: int
    name: str
    values: tuple[str, ...]

    KIND = Kind.OPTION
    LAYOUT = (("target", U32), ("name", TEXT), ("values", TEXTS))


@dataclass(frozen=True, slots=True)
class Done(Frame):
    """Answer to ``Option``."""

    KIND = Kind.DONE


FRAMES: dict[int, type[Frame]] = {
    cls.KIND: cls
    for cls in (
        Hello,
        Welcome,
        Refused,
        Goaway,
        Ping,
        Pong,
        Unknown,
        Connect,
        Connected,
        Data,
        Window,
        Shutdown,
        Close,
        Reset,
        Open,
        Accepted,
        Datagram,
        Dropped,
        Fault,
        Resolve,
        Resolved,
        Reverse,
        Reversed,
        Failed,
        Bind,
        Bound,
        Listen,
        Associate,
        Associated,
        Option,
        Done,
    )
}


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
            reader = _Reader(payload)
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
