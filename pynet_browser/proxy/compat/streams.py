"""Streams of foreign clients: what they send on its way into sockets that pages have too.

Their protocols have no byte windows, so that messages wait here until the socket's window has room for them.
"""

from __future__ import annotations

import abc
import asyncio
import time
from collections import deque

from aiohttp import web

from pynet_browser.fields import Address
from pynet_browser.frames import (
    Associate,
    Associated,
    Connect,
    Connected,
    Data,
    Datagram,
    Fault,
    Frame,
    Open,
    Reset,
    Shutdown,
    Window,
)
from pynet_browser.proxy.compat.channel import Channel
from pynet_browser.proxy.compat.client import Client
from pynet_browser.proxy.endpoint import Endpoint, authority, reason
from pynet_browser.proxy.policy import ForbiddenError, Protocol
from pynet_browser.proxy.resolver import DialError
from pynet_browser.proxy.tcp import LINGER, HostSocket
from pynet_browser.proxy.tenants import Tenant
from pynet_browser.proxy.udp import DatagramSocket
from pynet_browser.window import WINDOW_INITIAL, Budget, busy_within

__all__ = ["ConnectionStream", "DatagramStream", "Stream", "StreamClient"]

DOWN_WINDOW = 256 * 1024
"""Bytes of one stream that may wait for the client, so that one does not fill all of what may."""

DATAGRAMS_WAITING = 64
"""Datagrams that wait while a name is looked up; what comes beyond them is dropped."""


class Stream(abc.ABC):
    """One stream of a client.

    Attributes:
        id: of its socket.
        number: what the client calls it.
        waiting: messages that its socket has not taken.
        size: bytes in them.
    """

    def __init__(self, client: StreamClient, id_: int, number: int) -> None:
        self.id = id_
        self.number = number
        self.waiting: deque[memoryview] = deque()
        self.size = 0
        self._client = client

    @abc.abstractmethod
    def open(self, host: str, port: int) -> None:
        """Start to connect to a host."""

    @abc.abstractmethod
    def offer(self, message: bytes | memoryview) -> None:
        """The client has sent a message."""

    @abc.abstractmethod
    def close(self) -> None:
        """The client lets go; what it sent still goes out."""

    @abc.abstractmethod
    def granted(self, credit: int) -> None:
        """Its socket takes more bytes."""

    @abc.abstractmethod
    def stands(self) -> None:
        """The connection stands."""

    def fail(self) -> None:
        """Nothing more can be sent."""
        self._drop()

    def abort(self) -> None:
        """Let go at once."""
        self._drop()
        if socket := self._client.socket(self.id):
            socket.abort()

    def _drop(self) -> None:
        size, self.size = self.size, 0
        self.waiting.clear()
        self._client.released(size)


class ConnectionStream(Stream):
    """A stream over TCP."""

    def __init__(self, client: StreamClient, id_: int, number: int) -> None:
        super().__init__(client, id_, number)
        self._socket = HostSocket(client, id_, 0)
        self._credit = WINDOW_INITIAL
        self._stands = False
        self._closing = False
        self._feeding = False
        self._lingering: asyncio.TimerHandle | None = None
        client.keep(self._socket)

    def open(self, host: str, port: int) -> None:
        """Start to connect to a host."""
        delay = self._client.connects.delay(time.monotonic())
        target = Connect(self.id, 0, port, 0, host)
        self._socket.dial(target, self._client.resolver, self._client.connect_timeout, delay)

    def offer(self, message: bytes | memoryview) -> None:
        """The client has sent a message."""
        if not self.waiting and 0 < len(message) <= self._credit:  # it need not wait here, nor be counted
            self._credit -= len(message)
            self._socket.receive(Data(self.id, message))
            return
        self.waiting.append(memoryview(message))
        self.size += len(message)
        self._client.hold(len(message))
        self._feed()

    def granted(self, credit: int) -> None:
        """Its socket takes more bytes."""
        self._credit += credit
        self._feed()

    def stands(self) -> None:
        """The connection stands."""
        self._stands = True
        self._feed()

    def _feed(self) -> None:
        """Give the socket what it takes. It grants credit while it is given something, too."""
        if self._feeding:
            return
        self._feeding = True
        released, before = 0, len(self.waiting)
        while self.waiting and (self._credit or not self.waiting[0]):
            piece = self.waiting[0][: self._credit]
            if len(piece) == len(self.waiting[0]):
                self.waiting.popleft()
            else:
                self.waiting[0] = self.waiting[0][len(piece) :]
            self._credit -= len(piece)
            self.size -= len(piece)
            released += len(piece)
            self._socket.receive(Data(self.id, piece))
        self._feeding = False
        self._client.released(released)
        if self._closing:  # the client may call another stream by its number now
            self._close_when_fed()
        elif len(self.waiting) < before:
            self._client.moved(self)

    def close(self) -> None:
        """The client lets go; what it sent still goes out, in so much time as a closed socket has for it."""
        self._closing = True
        self._lingering = asyncio.get_running_loop().call_later(LINGER, self.abort)
        self._feed()

    def _close_when_fed(self) -> None:
        if self._stands and not self.waiting and self._lingering:
            self._drop()
            self._socket.close_when_made()

    def _drop(self) -> None:
        if self._lingering:
            self._lingering.cancel()
            self._lingering = None
        super()._drop()


class DatagramStream(Stream):
    """A stream of datagrams from and to one peer."""

    def __init__(self, client: StreamClient, id_: int, number: int) -> None:
        super().__init__(client, id_, number)
        self._socket: DatagramSocket | None = None
        self._peer: Address | None = None
        self._opening: asyncio.Task[None] | None = None

    def open(self, host: str, port: int) -> None:
        """Look the host up."""
        self._opening = asyncio.create_task(self._open(host, port))

    async def _open(self, host: str, port: int) -> None:
        try:
            address = await self._client.resolver.destination("udp", host, port)
            if refusal := self._client.refusal:
                raise refusal
            socket = DatagramSocket(self._client, Open(self.id, 1, 6 if ":" in address else 4))
            self._client.keep(socket)
            answer = socket.answer(Associate(self.id, self.id, port, host), address)
        except DialError as error:
            self._client.failed("connect", error, protocol="udp", target=authority(host, port))
            self._client.send(Reset(self.id, error.code, error.message))
            return
        except OSError as error:
            if isinstance(error, ForbiddenError):
                self._client.refused("connect", error.rule, protocol="udp", target=authority(host, port))
            self._client.send(Reset(self.id, *reason(error)))
            return
        assert isinstance(answer, Associated)
        self._socket, self._peer = socket, answer.peer
        self._client.send(answer)
        for message in self.waiting:
            self._transmit(message)
        self._drop()

    def offer(self, message: bytes | memoryview) -> None:
        """The client has sent a datagram."""
        if self._socket is not None:
            self._transmit(memoryview(message))
        elif len(self.waiting) < DATAGRAMS_WAITING and self._client.hold(len(message)):
            self.waiting.append(memoryview(message))
            self.size += len(message)

    def _transmit(self, message: memoryview) -> None:
        assert self._socket
        assert self._peer
        self._socket.receive(Datagram(self.id, self._peer, message))

    def granted(self, _credit: int) -> None:
        """What comes is sent or dropped."""

    def stands(self) -> None:
        """What has waited is sent then."""

    def close(self) -> None:
        """The client lets go."""
        self.abort()

    def fail(self) -> None:
        """Nothing more can be sent."""
        super().abort()

    def abort(self) -> None:
        """Let go at once."""
        if self._opening:
            self._opening.cancel()
            self._opening = None  # its error would keep this alive
        super().abort()


class StreamClient(Client[Endpoint]):
    """A client with streams. What its sockets say in frames, it says in its own protocol.

    Attributes:
        streams: those that have not ended, by the ids of their sockets.
    """

    def __init__(self, request: web.Request, channel: Channel, tenant: Tenant) -> None:
        super().__init__(request, channel, tenant)
        self.budget = Budget(0)
        self.busy = busy_within(0)
        self.peer_window = DOWN_WINDOW
        self.streams: dict[int, Stream] = {}
        self._leaving: dict[int, Stream] = {}  # of which the client hears nothing more
        self._newest = 0

    def open(self, protocol: Protocol, host: str, port: int, number: int = 0) -> Stream:
        """Open a stream; ``number`` is what the client calls it.

        Raises:
            DialError: ``EMFILE`` or ``ENFILE``: there are too many.
        """
        refusal = self.refusal
        if refusal is None and len(self.streams) >= self._sessions.config.limits.sockets_per_session:
            refusal = self._too_many("EMFILE", len(self.streams), "sockets_per_session")
        if refusal:
            self.failed("connect", refusal, protocol=protocol, target=authority(host, port))
            raise refusal
        self._newest += 1
        kind = ConnectionStream if protocol == "tcp" else DatagramStream
        stream = self.streams[self._newest] = kind(self, self._newest, number)
        stream.open(host, port)
        return stream

    def close(self, stream: Stream) -> None:
        """Let go of a stream; what the client sent still goes out."""
        self.streams.pop(stream.id, None)
        stream.close()
        if self.socket(stream.id):
            self._leaving[stream.id] = stream

    def abort(self, stream: Stream) -> None:
        """Let go of a stream at once."""
        self.streams.pop(stream.id, None)
        stream.abort()

    def let_go(self) -> None:
        """The client is gone: let go of its sockets, but let go out what it has sent."""
        for stream in list(self.streams.values()):
            self.close(stream)

    def _abort_all(self) -> None:
        for stream in (*self.streams.values(), *self._leaving.values()):
            self.abort(stream)
        super()._abort_all()

    def forget(self, socket: Endpoint) -> None:
        """A socket is closed."""
        super().forget(socket)
        self._leaving.pop(socket.id, None)

    # ── What becomes of streams ────────────────────────────────────────────────────────────────────

    @abc.abstractmethod
    def pack(self, stream: Stream, data: memoryview) -> bytes:
        """The message for data of a stream; it is a copy."""

    @abc.abstractmethod
    def opened(self, stream: Stream) -> None:
        """A connection stands, or a host's name is known."""

    @abc.abstractmethod
    def moved(self, stream: Stream) -> None:
        """A socket has taken messages of a stream."""

    @abc.abstractmethod
    def ended(self, stream: Stream, code: str, message: str) -> None:
        """A stream is over: its host has ended it, or with a ``code`` (an errno's name) it has failed."""

    # ── What sockets say ───────────────────────────────────────────────────────────────────────────

    def datagram_channel(self, _size: int, _behind: int) -> None:
        """Clients of this kind have nothing beside their WebSocket."""

    def send(self, frame: Frame) -> int:
        """Say what a socket says; no message has a number here."""
        if stream := self.streams.get(frame.socket):
            self._send_about(stream, frame)
        else:  # it was let go of
            self._send_leaving(frame)
        return 0

    def _send_about(self, stream: Stream, frame: Frame) -> None:
        match frame:
            case Connected() | Associated():
                self.opened(stream)
                stream.stands()
            case Window(credit=credit):
                stream.granted(credit)
            case Datagram(data=data):
                self.send_data(stream.id, memoryview(data))
            case Shutdown():
                self.close(stream)
                self.ended(stream, "", "")
            case Reset(code=code, message=message) | Fault(code="ECONNREFUSED" as code, message=message):
                self.streams.pop(stream.id)
                stream.fail()
                self.ended(stream, code, message)
            case _:
                pass  # about single datagrams, of which these protocols say nothing

    def _send_leaving(self, frame: Frame) -> None:
        """What the socket says of a stream that the client has let go of: it may take the rest now."""
        match self._leaving.get(frame.socket), frame:
            case Stream() as stream, Connected():
                stream.stands()
            case Stream() as stream, Window(credit=credit):
                stream.granted(credit)
            case Stream() as stream, Reset():
                stream.fail()

    def send_data(self, socket: int, data: memoryview) -> None:
        """Send bytes of a socket; they are copied."""
        if stream := self.streams.get(socket):
            self.channel.push(self.pack(stream, data), socket, len(data))
            if self.receiving is not None:
                self.receiving.spend(len(data))
            self._account()

    def _sent(self, about: int, size: int) -> None:
        socket = self._sockets.get(about)
        if size and isinstance(socket, HostSocket):
            socket.receive(Window(about, size))
        super()._sent(about, size)
