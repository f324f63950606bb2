"""What every carrier does with the messages that come in on it."""

from __future__ import annotations

from collections.abc import Iterator

from pynet_browser.errors import ProtocolError
from pynet_browser.proxy.session import Session
from pynet_browser.wire import (
    Frame,
    Goaway,
    Message,
    Ping,
    Pong,
    Unknown,
    Unrecognized,
    Unstream,
    encode_frame,
    encode_message,
    frames_of,
)

__all__ = ["GREETING_MAX", "take_in"]

GREETING_MAX = 4096
"""Most bytes of the first message, its header included."""


def take_in(message: Message, session: Session) -> Iterator[bytes]:
    """Take in one message; yields the messages that answer it on the same carrier, not numbered.

    Raises:
        ProtocolError: the session cannot go on.
    """
    session.receive(message)
    if message.number == 0:
        for frame in frames_of(message.body):
            if answer := _answer(frame, session):
                yield encode_message(0, session.link.received, [encode_frame(answer)])


def _answer(frame: Frame, session: Session) -> Frame | None:
    """Do what a frame about the carrier or the session asks."""
    match frame:
        case Ping(stamp=stamp):
            return Pong(0, stamp)
        case Unrecognized(socket=socket, kind=kind):
            return Unknown(socket, kind)
        case Goaway():
            session.end()
        case Unstream(number=number, lost=lost):
            session.carriage.unstream(number, lost=bool(lost))
        case Pong() | Unknown():
            pass
        case _:
            raise ProtocolError(f"{type(frame).__name__} in a message without a number")
    return None
