"""Frames about one socket. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pynet_browser.fields import ADDRESS, REST, TEXT, U8, U16, U32, Address, Buffer
from pynet_browser.frames.base import Frame, Kind, Reason

__all__ = [
    "Accepted",
    "Close",
    "Connect",
    "Connected",
    "Data",
    "Datagram",
    "Dropped",
    "Fault",
    "Open",
    "Reset",
    "Shutdown",
    "Window",
]


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
class Reset(Reason):
    """The socket is gone at once, both ways. ``code`` is an errno or EAI name."""

    KIND = Kind.RESET


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
class Fault(Reason):
    """An error that the socket reports once and survives: a datagram was refused."""

    KIND = Kind.FAULT
