"""An asyncio client of docs/protocol.md: what a page does, in plain Python.

::

    async with Page("ws://127.0.0.1:8765/pynet", token) as page:
        socket = page.connect("example.com", 80)
        await socket.send(b"GET / HTTP/1.0\\r\\n\\r\\n")
        print(await socket.read())

A :class:`Page` has one session and uses one carrier at a time; :meth:`Page.open` may be called again when
that was lost. Tests that break the rules speak through a carrier themselves (tests/proxy/carrier.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self, TypeAlias

from websockets import ConnectionClosed

from pynet_browser.fields import Address, Buffer
from pynet_browser.frames import (
    Accepted,
    Answer,
    Associated,
    Bound,
    Close,
    Connect,
    Connected,
    Data,
    Done,
    Failed,
    Frame,
    Goaway,
    Open,
    Option,
    Ping,
    Pong,
    Reset,
    Resolve,
    Resolved,
    Reverse,
    Reversed,
    Secured,
    Shutdown,
    Unknown,
    Unrecognized,
    Unsecured,
    Welcome,
    Window,
)
from pynet_browser.link import Link
from pynet_browser.window import WINDOW_INITIAL, Budget, ReceiveWindow, SendWindow
from pynet_browser.wire import Message, data_header, encode_frame, frames_of
from tests.proxy.carrier import Carrier, FailedError, ResetError, SessionOverError, hello
from tests.proxy.unconnected import PageDatagrams, PageListener

__all__ = ["FailedError", "Page", "PageSocket", "ResetError", "SessionOverError"]

AnySocket: TypeAlias = "PageSocket | PageListener | PageDatagrams"

FRAME_TARGET = 64 * 1024
"""A socket's data leaves in frames of this size."""

WINDOW_BUDGET = 64 << 20
"""What the receive windows of a page's sockets may grow by, together."""


class Page:
    """One session with a proxy.

    Args:
        url: of the proxy's WebSocket.
        token: what the proxy wants to see.
        origin: where the page comes from; None for a program.
        window: credit that each socket grants the proxy at first.

    Attributes:
        link: its numbered messages.
        welcome: what the proxy said last when a carrier was attached.
        draining: set when the proxy says that it will stop.
        over: why the session ended.
    """

    welcome: Welcome

    def __init__(
        self, url: str, token: str, *, origin: str | None = None, window: int = WINDOW_INITIAL
    ) -> None:
        self._url = url
        self._token = token
        self._origin = origin
        self.window = window
        self.budget = Budget(WINDOW_BUDGET)
        self.link = Link()
        self.draining = asyncio.Event()
        self.over: SessionOverError | None = None
        self.name = ""
        self.key = ""
        self._carrier: Carrier | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._awake = asyncio.Event()
        self._sockets: dict[int, AnySocket] = {}
        self._next_socket = 1
        self._requests: dict[int, asyncio.Future[Frame]] = {}
        self._next_request = 1

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ── Carriers ───────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Attach a carrier: the first one, or one more when that was lost, or while it is still there.

        Raises:
            RefusedError: the proxy does not let the page in, or has forgotten the session.
        """
        carrier = await Carrier.open(self._url, self._origin)
        try:
            self.welcome = await carrier.greet(
                hello(
                    self._token,
                    session=self.name,
                    key=self.key,
                    seen=self.link.received,
                    window=self.window,
                    replay=self.link.replay_limit,
                )
            )
        except BaseException:
            await carrier.socket.close()
            raise
        if self._carrier:
            self._carrier.cut()  # whatever is under way on it is sent again
        await self._stop()
        self.name, self.key = self.welcome.session, self.welcome.key
        self.link.peer_replay = self.welcome.replay
        self._carrier = carrier
        again = self.link.replay(self.welcome.seen)
        self._awake.set()
        self._tasks = [
            asyncio.create_task(self._read(carrier)),
            asyncio.create_task(self._write(carrier, again)),
        ]

    @property
    def carrier(self) -> Carrier:
        """The WebSocket that was attached last."""
        assert self._carrier
        return self._carrier

    def cut(self) -> None:
        """Lose the carrier, with what is under way."""
        self.carrier.cut()

    async def lost(self) -> None:
        """Wait until the carrier is gone; ``over`` tells whether the session is, too."""
        await asyncio.wait(self._tasks[:1])

    async def close(self) -> None:
        """End the session and say so."""
        if self._carrier and self._carrier.socket.close_code is None:
            with contextlib.suppress(ConnectionClosed):
                await self._carrier.send(Goaway(0, "shutdown", "the page is done"), ack=self.link.received)
            await self._carrier.socket.close()
        await self._stop()
        self._end(SessionOverError("shutdown", "the page is done"))

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                await task

    def _end(self, over: SessionOverError) -> None:
        self.over = self.over or over
        for request in self._requests.values():
            if not request.done():
                request.set_exception(over)
        for socket in list(self._sockets.values()):
            socket.fail(over)

    # ── Messages ───────────────────────────────────────────────────────────────────────────────────

    def send(self, frame: Frame) -> None:
        """Queue a frame about a socket or a request."""
        self.push(encode_frame(frame))

    def push(self, *parts: Buffer) -> None:
        """Queue a frame, given as its bytes."""
        self.link.push(*parts)
        self._awake.set()

    async def _read(self, carrier: Carrier) -> None:
        async for message in carrier.messages():
            for answer in self.take_in(message):
                await carrier.send(answer, ack=self.link.received)

    def take_in(self, message: Message) -> list[Frame]:
        """Take in a message from any carrier; returns what is to be answered on it, not numbered."""
        self.acknowledged(message.ack)
        if message.number == 0:
            return [answer for frame in frames_of(message.body) if (answer := self._answer(frame))]
        for each in self.link.receive(message, time.monotonic()):
            for frame in frames_of(each.body):
                self._dispatch(frame)
        self._awake.set()
        return []

    def acknowledged(self, number: int) -> None:
        """The proxy has so many messages."""
        if self.link.acknowledge(number):
            for socket in self._sockets.values():
                socket.wake()

    async def _write(self, carrier: Carrier, again: Sequence[bytes]) -> None:
        with contextlib.suppress(ConnectionClosed):
            for message in again:
                await carrier.send_bytes(message)
            while True:
                for message in self.link.take(time.monotonic()):
                    await carrier.send_bytes(message)
                ack_at = self.link.ack_at
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if ack_at is None else ack_at - time.monotonic()):
                        await self._awake.wait()
                self._awake.clear()

    def _answer(self, frame: Frame) -> Frame | None:
        """Answer a frame about the carrier or the session."""
        match frame:
            case Ping(stamp=stamp):
                return Pong(0, stamp)
            case Goaway(code="drain"):
                self.draining.set()
            case Goaway(code=code, message=message):
                self._end(SessionOverError(code, message))
        return None

    def _dispatch(self, frame: Frame) -> None:
        match frame:
            case (
                Resolved()
                | Reversed()
                | Bound()
                | Associated()
                | Done()
                | Secured()
                | Unsecured()
                | Failed()
                | Answer()
            ):
                self._answered(frame)
            case Accepted():
                self._accepted(frame)
            case Unrecognized(kind=kind):
                self.send(Unknown(frame.socket, kind))
            case _:
                # Frames for an id that is gone crossed its close on the way.
                if socket := self._sockets.get(frame.socket):
                    socket.receive(frame)

    def _accepted(self, frame: Accepted) -> None:
        listener = self._sockets.get(frame.listener)
        if isinstance(listener, PageListener):
            socket = self._sockets[frame.socket] = PageSocket(self, frame.socket)
            socket.addresses = Connected(frame.socket, frame.local, frame.peer)
            listener.queue.put_nowait(socket)
        else:
            self.send(Reset(frame.socket, "ECONNRESET", ""))

    def _answered(self, frame: Frame) -> None:
        request = self._requests.get(frame.socket)
        if request is None or request.done():  # whoever asked has given up
            return
        if isinstance(frame, Failed):
            request.set_exception(FailedError(frame.code, frame.message))
        else:
            request.set_result(frame)

    # ── Sockets and requests ───────────────────────────────────────────────────────────────────────

    def connect(self, host: str, port: int, *, family: int = 0, timeout: int = 0) -> PageSocket:
        """A socket whose connection is being made; what is sent meanwhile follows. ``timeout`` in ms."""
        socket = PageSocket(self, self._new_id())
        self._sockets[socket.id] = socket
        self.send(Connect(socket.id, family, port, timeout, host))
        return socket

    def stream(self, family: int = 4) -> PageListener:
        """A stream socket that may be bound, and then connect or listen."""
        listener = PageListener(self, self._new_id(), family)
        self._sockets[listener.id] = listener
        self.send(Open(listener.id, 0, family))
        return listener

    def datagrams(self, family: int = 4) -> PageDatagrams:
        """A datagram socket."""
        socket = PageDatagrams(self, self._new_id(), family)
        self._sockets[socket.id] = socket
        self.send(Open(socket.id, 1, family))
        return socket

    def connect_opened(self, listener: PageListener, host: str, port: int) -> PageSocket:
        """A socket that takes the place of one that was opened, and connects with its address."""
        socket = self._sockets[listener.id] = PageSocket(self, listener.id)
        self.send(Connect(socket.id, listener.family, port, 0, host))
        return socket

    def _new_id(self) -> int:
        self._next_socket += 2  # even ids are the proxy's to give
        return self._next_socket - 2

    def forget(self, socket: AnySocket) -> None:
        """A socket is closed."""
        self._sockets.pop(socket.id, None)

    async def resolve(self, host: str, service: str = "", family: int = 0) -> Resolved:
        """The addresses of a name and the port of a service.

        Raises:
            FailedError: they are not known.
        """
        answer = await self.request(Resolve(0, family, host, service))
        assert isinstance(answer, Resolved)
        return answer

    async def reverse(self, address: Address, *, datagram: bool = False) -> Reversed:
        """The name of an address and of its port.

        Raises:
            FailedError: they are not known.
        """
        answer = await self.request(Reverse(0, address, int(datagram)))
        assert isinstance(answer, Reversed)
        return answer

    async def set_option(self, socket: AnySocket, name: str, *values: object) -> None:
        """Set an option of a socket.

        Raises:
            FailedError: it cannot be set.
        """
        answer = await self.request(Option(0, socket.id, name, tuple(map(str, values))))
        assert isinstance(answer, Done)

    async def request(self, frame: Frame) -> Frame:
        """Ask, under an id of the request's own.

        Raises:
            FailedError: there is no answer.
        """
        id_ = self._next_request
        self._next_request += 1
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._requests[id_] = answer
        self.send(replace(frame, socket=id_))
        try:
            return await answer
        finally:
            del self._requests[id_]


class PageSocket:
    """One TCP socket of a page.

    Attributes:
        id: its number in the session.
        addresses: both ends' addresses, once it is connected.
        waiting: bytes that have come and were not received.
        credit: bytes that the proxy lets it send.
    """

    def __init__(self, page: Page, id_: int) -> None:
        self.id = id_
        self.addresses: Connected | None = None
        self.waiting = 0
        self._page = page
        self._pieces: deque[bytes] = deque()
        self._ended = False
        self._error: Exception | None = None
        self._incoming = ReceiveWindow(page.budget, page.window)
        self._outgoing = SendWindow(page.welcome.window)
        self._changed = asyncio.Event()

    @property
    def credit(self) -> int:
        return self._outgoing.credit

    async def connected(self) -> Connected:
        """Wait until the host has accepted.

        Raises:
            ResetError: it has not.
        """
        await self._until(lambda: self.addresses or self._error)
        if self.addresses is None:
            assert self._error
            raise self._error
        return self.addresses

    async def send(self, data: Buffer) -> None:
        """Send everything, as fast as the proxy's windows allow.

        Raises:
            ResetError: the connection is gone.
        """
        left = memoryview(data)
        while left:
            await self._until(lambda: self._error or (self.credit and self._page.link.room > 0))
            if self._error:
                raise self._error
            size = min(len(left), self.credit, FRAME_TARGET)
            self._outgoing.sent(size)
            self._page.push(data_header(self.id, size), left[:size])
            left = left[size:]

    async def recv(self) -> bytes:
        """What has come, at least a byte; empty at the end.

        Raises:
            ResetError: the connection is gone, and everything before was received.
        """
        await self._until(lambda: self._pieces or self._ended or self._error)
        if not self._pieces:
            if self._error:
                raise self._error
            return b""
        piece = self._pieces.popleft()
        self.waiting -= len(piece)
        if credit := self._incoming.consumed(len(piece), self.waiting, time.monotonic()):
            self._page.send(Window(self.id, credit))
        return piece

    async def read(self, size: int | None = None) -> bytes:
        """Everything until the end, or until there are ``size`` bytes or a little more."""
        data = bytearray()
        while (size is None or len(data) < size) and (piece := await self.recv()):
            data += piece
        return bytes(data)

    def shutdown(self) -> None:
        """Send no more."""
        self._page.send(Shutdown(self.id))

    def close(self) -> None:
        """Let go; what was sent still goes out."""
        self._page.send(Close(self.id))
        self._let_go()

    def reset(self) -> None:
        """Let go at once, so that the host sees a RST."""
        self._page.send(Reset(self.id, "ECONNRESET", ""))
        self._let_go()

    def _let_go(self) -> None:
        self._page.forget(self)
        self._incoming.close()

    def receive(self, frame: Frame) -> None:
        """Take in a frame about this socket."""
        match frame:
            case Connected():
                self.addresses = frame
            case Data(data=data):
                self._incoming.received(len(data))
                self._pieces.append(bytes(data))
                self.waiting += len(data)
            case Window(credit=credit):
                self._outgoing.opened(credit)
            case Shutdown():
                self._ended = True
            case Reset(code=code, message=message):
                self.fail(ResetError(code, message))
            case Unknown(kind=kind):
                self.fail(ResetError("EOPNOTSUPP", f"the proxy does not know frames of kind {kind:#x}"))
        self.wake()

    def fail(self, error: Exception) -> None:
        """The socket is gone."""
        self._error = self._error or error
        self._let_go()
        self.wake()

    def wake(self) -> None:
        """Something may have changed."""
        self._changed.set()

    async def _until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()
