"""What every frame has: a kind, and the socket it is about. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

from pynet_browser.fields import TEXT

__all__ = ["Frame", "Kind", "Reason"]


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
    RELAY = 0x0B
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
    STARTTLS = 0x2C
    SECURED = 0x2D
    UNSECURED = 0x2E
    REQUEST = 0x30
    RESPONSE = 0x31
    OFFER = 0x32
    ANSWER = 0x33
    ROUTE = 0x34


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
class Reason(Frame):
    """Base of those that say why: a short code, and a sentence."""

    code: str
    message: str

    LAYOUT = (("code", TEXT), ("message", TEXT))
