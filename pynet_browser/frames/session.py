"""Frames about a carrier and its session. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pynet_browser.fields import TEXT, TEXTS, U8, U16, U32, U64
from pynet_browser.frames.base import Frame, Kind, Reason

__all__ = [
    "Goaway",
    "Hello",
    "Ping",
    "Poll",
    "Pong",
    "Refused",
    "Stream",
    "Unknown",
    "Unrecognized",
    "Unstream",
    "Welcome",
]


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
class Refused(Reason):
    """The proxy's other answer to ``Hello``: a word for programs and a sentence for people."""

    KIND = Kind.REFUSED


@dataclass(frozen=True, slots=True)
class Goaway(Reason):
    """The session ends, or will take no new sockets; ``code`` says why."""

    KIND = Kind.GOAWAY


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
