"""Exchanges over HTTP with a proxy, made one by one: what a client stands on, and what a rude one needs."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp

from pynet_browser.frames import Connect, Data, Frame, Goaway, Poll, Refused, Welcome
from pynet_browser.wire import Message, MessageReader, encode_frame, encode_message, frames_of
from tests.peers import TcpPeer
from tests.proxy.carrier import RefusedError, hello

__all__ = ["ANSWER_MAX", "GOODBYE", "Answer", "Exchanges", "Request", "connecting", "message"]

ANSWER_MAX = 4 << 20
"""Bytes of messages that an answer may hold, unless a test says otherwise."""


def message(*frames: Frame, number: int = 0, ack: int = 0) -> bytes:
    """The bytes of one message."""
    return encode_message(number, ack, [encode_frame(frame) for frame in frames])


GOODBYE = message(Goaway(0, "shutdown", "the page is done"))


def connecting(peer: TcpPeer, *data: bytes, number: int = 1) -> bytes:
    """A message in which socket 1 connects to a peer, and sends."""
    frames: list[Frame] = [Connect(1, 0, peer.port, 0, peer.host), *(Data(1, each) for each in data)]
    return message(*frames, number=number)


def data_of(message: Message) -> bytes:
    """What sockets were sent in one message, all of them together."""
    return b"".join(frame.data for frame in frames_of(message.body) if isinstance(frame, Data))


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP's.
        headers: HTTP's.
        messages: what the body holds.
    """

    status: int
    headers: Mapping[str, str]
    messages: list[Message]

    @property
    def frames(self) -> list[tuple[int, Frame]]:
        """All frames, each with the number of its message."""
        return [(each.number, frame) for each in self.messages for frame in frames_of(each.body)]

    @property
    def numbers(self) -> list[int]:
        """Numbers of the messages that have one."""
        return [each.number for each in self.messages if each.number]

    @property
    def welcome(self) -> Welcome:
        """What it begins with."""
        (number, welcome), *_ = self.frames
        assert isinstance(welcome, Welcome), self.frames
        assert number == 0
        return welcome

    @property
    def data(self) -> bytes:
        """What sockets were sent, all of them together."""
        return b"".join(data_of(each) for each in self.messages)


class Exchanges:
    """One session, as one that knows only HTTP sees it; use it with ``async with``.

    Args:
        url: of the proxy's WebSocket.
        token: what the proxy wants to see.
        origin: where the page comes from; None for a program.
        greeting: more of what ``hello`` says.

    Attributes:
        name, key: of the session, once it was welcomed.
        seen: number of the last message that came in order; a test may forget some.
        data: what sockets were sent in all, once each.
    """

    def __init__(self, url: str, token: str, *, origin: str | None = None, **greeting: Any) -> None:
        base, *query = url.replace("ws", "http", 1).split("?")
        self.url = "?".join([f"{base}/http", *query])
        self.name = ""
        self.key = ""
        self.seen = 0
        self.data = bytearray()
        self._delivered = 0
        self._token = token
        self._headers = {"Content-Type": "text/plain"} | ({"Origin": origin} if origin is not None else {})
        self._greeting = greeting

    async def __aenter__(self) -> Self:
        self.client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    def greeting(self, wait: float = 0.0, limit: int = ANSWER_MAX) -> bytes:
        """The message that a request begins with; ``wait`` in seconds."""
        greeting = hello(self._token, session=self.name, key=self.key, seen=self.seen, **self._greeting)
        return message(greeting, Poll(0, round(wait * 1000), limit))

    async def make(self, *messages: bytes, wait: float = 0.0, limit: int = ANSWER_MAX) -> Answer:
        """Make one exchange.

        Raises:
            RefusedError: the proxy does not let it in.
        """
        answer = await self.post(b"".join((self.greeting(wait, limit), *messages)))
        match answer.frames:
            case [(0, Refused(code=code, message=text))]:
                assert answer.status == 403
                raise RefusedError(code, text)
        if answer.status == 200:
            self.name, self.key = answer.welcome.session, answer.welcome.key
        for each in answer.messages:
            if each.number == self.seen + 1:
                self.seen += 1
                if each.number > self._delivered:
                    self._delivered = each.number
                    self.data += data_of(each)
        return answer

    async def received(self, size: int) -> bytes:
        """Everything that sockets were sent, as soon as it is so much."""
        while len(self.data) < size:
            await self.make(wait=5)
        return bytes(self.data)

    async def post(self, body: bytes, **more: str) -> Answer:
        """Send bytes that may or may not be messages, with ``more`` headers."""
        headers = self._headers | more
        async with self.client.post(self.url, data=io.BytesIO(body), headers=headers) as response:
            return Answer(response.status, response.headers, [*MessageReader().feed(await response.read())])


class Request:
    """A request whose body a test sends piece by piece."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader

    @classmethod
    async def begun(cls, address: tuple[str, int], length: int, receive_buffer: int = 0) -> Request:
        """One whose body is to have ``length`` bytes; ``receive_buffer`` bounds what the kernel takes."""
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, address)
        request = cls(*await asyncio.open_connection(sock=connection, limit=4096))
        head = f"POST /pynet/http HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n"
        request.writer.write(head.encode())
        return request

    async def status(self) -> int:
        """Wait for the answer."""
        return int((await self._reader.readline()).split()[1])

    async def cut_off(self) -> None:
        """Wait until the proxy has broken the connection, without a word."""
        with contextlib.suppress(ConnectionResetError):
            assert await self._reader.read() == b""
        self.cut()

    def cut(self) -> None:
        """Break the connection."""
        self.writer.transport.abort()
