"""The frames of docs/protocol.md: the kind and the fields of each. Pure.

``fields.py`` has what they are made of, ``wire.py`` the headers around them and the messages that hold them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

from pynet_browser.fields import ADDRESS, REST, TEXT, TEXTS, U8, U16, U32, U64, Address, Buffer, ListOf

__all__ = [
    "FRAMES",
    "Accepted",
    "Associate",
    "Associated",
    "Bind",
    "Bound",
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
    "Open",
    "Option",
    "Ping",
    "Poll",
    "Pong",
    "Refused",
    "Reset",
    "Resolve",
    "Resolved",
    "Reverse",
    "Reversed",
    "Shutdown",
    "Stream",
    "Unknown",
    "Unrecognized",
    "Unstream",
    "Welcome",
    "Window",
]


class Kind(IntEnum):
    """First byte of a frame."""

    HELLO = 0x01
    WELCOME = 0x02
    REFUSED = 0x03
    GOAWAY = 0x04
    PING = 0x05
    PONG = 0x06
    UNKNOWN = 0x07
    POLL = 0x08
    STREAM = 0x09
    UNSTREAM = 0x0A
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
class Poll(Frame):
    """Stands behind the greeting of an exchange over HTTP: what its answer is to hold, and when it is due.

    ``wait`` is for how many ms the answer may be held back, ``limit`` how many bytes of messages it may have.
    """

    wait: int
    limit: int

    KIND = Kind.POLL
    LAYOUT = (("wait", U32), ("limit", U32))


@dataclass(frozen=True, slots=True)
class Stream(Frame):
    """Stands behind the greeting of a stream: its answer is to bring the session's messages and not end.

    ``number`` is larger than that of every stream of the session before it.
    """

    number: int

    KIND = Kind.STREAM
    LAYOUT = (("number", U32),)


@dataclass(frozen=True, slots=True)
class Unstream(Frame):
    """On the WebSocket: messages shall come here again, and streams up to ``number`` end.

    With ``lost`` 1 what they have brought did not all arrive.
    """

    number: int
    lost: int

    KIND = Kind.UNSTREAM
    LAYOUT = (("number", U32), ("lost", U8))


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
    LAYOUT = (("port", U16), ("canonical", TEXT), ("addresses", ListOf(ADDRESS)))


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
        Poll,
        Stream,
        Unstream,
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
