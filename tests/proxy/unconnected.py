"""The sockets of tests/proxy/client.py that are no connections: those that listen, and those of datagrams."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pynet_browser.fields import Address, Buffer
from pynet_browser.frames import (
    Associate,
    Associated,
    Bind,
    Bound,
    Close,
    Datagram,
    Dropped,
    Fault,
    Frame,
    Listen,
    Reset,
    Window,
)
from tests.proxy.carrier import ReasonError

if TYPE_CHECKING:
    from tests.proxy.client import Page, PageSocket

__all__ = ["FaultError", "PageDatagrams", "PageListener"]


class FaultError(ReasonError):
    """A datagram socket reports an error, and goes on."""


class _Unconnected:
    """A socket that was opened.

    Attributes:
        id: its number in the session.
        family: 4 or 6.
        error: why it is gone.
    """

    def __init__(self, page: Page, id_: int, family: int) -> None:
        self.id = id_
        self.family = family
        self.error: Exception | None = None
        self._page = page

    async def bind(self, host: str = "", port: int = 0) -> Address:
        """Have an address; returns it.

        Raises:
            FailedError: it cannot.
        """
        answer = await self._page.request(Bind(0, self.id, port, host))
        assert isinstance(answer, Bound)
        return answer.local

    def close(self) -> None:
        """Let go."""
        self._page.send(Close(self.id))
        self._page.forget(self)  # type: ignore[arg-type]

    def fail(self, error: Exception) -> None:
        """It is gone."""
        self.error = self.error or error
        self._page.forget(self)  # type: ignore[arg-type]

    def wake(self) -> None:
        """It waits for nothing that a window could bring."""

    def receive(self, frame: Frame) -> None:
        """Take in a frame about this socket."""
        match frame:
            case Reset(code=code, message=message):
                self.fail(ReasonError(code, message))
            case _:
                raise AssertionError(f"{frame} is nothing to tell a socket that was opened")


class PageListener(_Unconnected):
    """A stream socket that was opened.

    Attributes:
        queue: connections that were not taken yet.
    """

    def __init__(self, page: Page, id_: int, family: int) -> None:
        super().__init__(page, id_, family)
        self.queue: asyncio.Queue[PageSocket] = asyncio.Queue()

    async def listen(self, backlog: int = 100) -> Address:
        """Accept connections; returns where.

        Raises:
            FailedError: it cannot.
        """
        answer = await self._page.request(Listen(0, self.id, backlog))
        assert isinstance(answer, Bound)
        return answer.local

    async def accept(self) -> PageSocket:
        """The next connection; there may be one more then."""
        socket = await self.queue.get()
        self._page.send(Window(self.id, 1))
        return socket


class PageDatagrams(_Unconnected):
    """A datagram socket.

    Attributes:
        queue: what has come and was not received: datagrams and faults.
        dropped: how many the proxy says it has dropped.
        by_channel: how many have come by a data channel.
    """

    def __init__(self, page: Page, id_: int, family: int) -> None:
        super().__init__(page, id_, family)
        self.queue: asyncio.Queue[Datagram | Fault] = asyncio.Queue()
        self.dropped = 0
        self.by_channel = 0

    async def associate(self, host: str, port: int) -> Associated:
        """Have one peer.

        Raises:
            FailedError: it cannot.
        """
        answer = await self._page.request(Associate(0, self.id, port, host))
        assert isinstance(answer, Associated)
        return answer

    def send(self, data: Buffer, host: str, port: int) -> None:
        """Send a datagram."""
        self._page.send(Datagram(self.id, Address(self.family, host, port), data))

    async def recv(self) -> tuple[bytes, Address]:
        """The next datagram, and where it came from.

        Raises:
            FaultError: the socket has one to report.
        """
        frame = await self.queue.get()
        if isinstance(frame, Fault):
            raise FaultError(frame.code, frame.message)
        return bytes(frame.data), frame.address

    def receive(self, frame: Frame) -> None:
        match frame:
            case Datagram() | Fault():
                self.queue.put_nowait(frame)
            case Dropped(count=count):
                self.dropped += count
            case _:
                super().receive(frame)
