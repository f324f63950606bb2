"""One WebSocket to a proxy, spoken to frame by frame: what a client stands on, and what a rude one needs."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Self

from websockets import ConnectionClosed
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from pynet_browser.frames import Frame, Hello, Refused, Welcome
from pynet_browser.link import REPLAY_LIMIT
from pynet_browser.window import WINDOW_INITIAL
from pynet_browser.wire import VERSION, Message, MessageReader, encode_frame, encode_message, frames_of

__all__ = [
    "Carrier",
    "FailedError",
    "ReasonError",
    "RefusedError",
    "ResetError",
    "SessionOverError",
    "hello",
]


class ReasonError(Exception):
    """What a frame with a reason said.

    Attributes:
        code: its word for programs.
        message: its sentence for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class RefusedError(ReasonError):
    """The proxy does not let the page in."""


class SessionOverError(ReasonError):
    """The proxy ended the session."""


class ResetError(ReasonError):
    """A socket is gone, or never came to be."""


class FailedError(ReasonError):
    """A request cannot be answered."""


def hello(
    token: str,
    *,
    session: str = "",
    key: str = "",
    seen: int = 0,
    window: int = WINDOW_INITIAL,
    replay: int = REPLAY_LIMIT,
    version: int = VERSION,
) -> Hello:
    """The greeting of a new session, or of one that comes back."""
    return Hello(0, version, token, session, key, seen, window, replay, (), "tests")


class Carrier:
    """One WebSocket, and the messages that come on it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._reader = MessageReader()
        self._messages: deque[Message] = deque()

    @classmethod
    async def open(cls, url: str, origin: str | None = None, **more: Any) -> Self:
        """Connect; nothing is said yet. ``more`` is what websockets' own ``connect`` takes."""
        return cls(
            await connect(
                url,
                origin=Origin(origin) if origin is not None else None,
                subprotocols=[Subprotocol("pynet.v1")],
                compression=None,
                max_size=None,
                ping_interval=None,
                proxy=None,
                **more,
            )
        )

    async def greet(self, greeting: Hello) -> Welcome:
        """Say hello and be welcomed.

        Raises:
            RefusedError: the proxy says no.
        """
        with contextlib.suppress(ConnectionClosed):  # refused before a word was said
            await self.send(greeting)
        match [frame for _, frame in await self.receive()]:
            case [Welcome() as welcome]:
                return welcome
            case [Refused(code=code, message=message)]:
                raise RefusedError(code, message)
            case frames:
                raise AssertionError(f"no answer to a greeting: {frames}")

    async def send(self, *frames: Frame, number: int = 0, ack: int = 0) -> None:
        """Send one message."""
        await self.send_bytes(encode_message(number, ack, [encode_frame(frame) for frame in frames]))

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes that may or may not be a message."""
        await self.socket.send(data)

    async def receive(self) -> list[tuple[int, Frame]]:
        """The frames of the next message that has any, each with the message's number."""
        while True:
            message = await self.next_message()
            if frames := [(message.number, frame) for frame in frames_of(message.body)]:
                return frames

    async def next_message(self) -> Message:
        """The next message, acknowledgements without frames among them."""
        while not self._messages:
            data = await self.socket.recv()
            assert isinstance(data, bytes)
            self._messages.extend(self._reader.feed(data))
        return self._messages.popleft()

    async def messages(self) -> AsyncIterator[Message]:
        """All messages until the WebSocket is gone."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                yield await self.next_message()

    def cut(self) -> None:
        """Lose the connection, with what is under way."""
        self.socket.transport.abort()
