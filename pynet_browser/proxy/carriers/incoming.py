"""What every carrier does with the messages that come in on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from aiohttp import StreamReader

from pynet_browser.errors import ProtocolError
from pynet_browser.frames import Frame, Goaway, Ping, Pong, Unknown, Unrecognized, Unstream
from pynet_browser.proxy.session import Session
from pynet_browser.wire import MESSAGE_HEADER, Message, encode_frame, encode_message, frames_of

__all__ = ["GREETING_MAX", "first_frames", "take_in"]

GREETING_MAX = 4096
"""Most bytes of the first message, its header included."""


async def first_frames(content: StreamReader, limit: int, timeout: float) -> list[Frame]:
    """The frames of the message that a request's body begins with; it is not numbered.

    Args:
        content: the body; what is behind the message stays there.
        limit: most bytes of the message, its header included.
        timeout: seconds in which it must have come.

    Raises:
        ProtocolError: it is not such a message, or does not come.
    """
    try:
        async with asyncio.timeout(timeout):
            size, number, _ = MESSAGE_HEADER.unpack(await content.readexactly(MESSAGE_HEADER.size))
            if number or size > limit - MESSAGE_HEADER.size:
                raise ProtocolError("the first message is no greeting")
            body = await content.readexactly(size)
    except TimeoutError as error:
        raise ProtocolError(f"no greeting within {timeout:g} s") from error
    except asyncio.IncompleteReadError as error:
        raise ProtocolError("the request ends within its greeting") from error
    return [*frames_of(memoryview(body))]


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
