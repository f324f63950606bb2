"""``connect`` as ``websockets.asyncio.client`` has it, by the browser's own WebSocket."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable, Sequence
from typing import Any, Self

from pynet_browser.websocket.connection import (
    Connection,
    Data,
    Face,
    attached,
    joined,
    open_connection,
    refuse_ping,
)
from pynet_browser.websocket.exceptions import ConnectionClosedOK, InvalidHandshake

__all__ = ["ClientConnection", "attach", "connect"]

PAUSE_FIRST, PAUSE_MAX = 0.5, 60.0
"""Seconds between attempts of connecting anew; doubled each time, and varied by a quarter."""


class ClientConnection(Face):
    """A connection to a server. Iterating over it gives messages until it is closed.

    Messages of text are ``str``, others ``bytes``.
    """

    async def recv(self, decode: bool | None = None) -> str | bytes:
        """The next message.

        Args:
            decode: True for ``str``, False for ``bytes``, whatever the server sent.

        Raises:
            ConnectionClosedOK: the server has closed the connection.
            ConnectionClosedError: it broke, or was closed because of an error.
        """
        return await self._connection.next(decode)

    async def send(
        self, message: Data | Iterable[Data] | AsyncIterable[Data], text: bool | None = None
    ) -> None:
        """Send a message; wait while the browser has too much that it has not sent.

        Args:
            message: ``str`` goes as text, bytes as they are. Of several pieces one message is made.
            text: whether it goes as text, whatever it is.

        Raises:
            ConnectionClosed: the connection has ended.
            TypeError: that is no message.
        """
        if not isinstance(message, str | bytes):
            message = await joined(message)
        waiting = self._connection.give(message, text)
        if waiting is not None:
            await waiting

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, and wait until it is closed; it may have been closed before.

        Raises:
            ValueError: a page may not give this code, or so long a reason.
        """
        if self._connection.begin_end(code, reason):
            await self._connection.ended()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed."""
        await self._connection.ended()

    async def ping(self, _data: Data | None = None) -> None:
        """There are no pings for pages.

        Raises:
            NotImplementedError: always; the message says what to do instead.
        """
        refuse_ping()

    pong = ping

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Messages, until the server closes the connection as it should."""
        try:
            while True:
                yield await self.recv()
        except ConnectionClosedOK:
            return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def attach(token: str) -> ClientConnection:
    """Use a connection that another thread shares, which must not be blocked meanwhile.

    Raises:
        InvalidHandshake: no thread of this origin shares one by this token.
    """
    return ClientConnection(Connection(await attached(token)))


class connect:  # noqa: N801 - the name that the library has
    """Connect to a server: ``async with connect(url) as connection``, or await it.

    ``async for connection in connect(url)`` connects anew whenever the connection has ended or cannot be
    made, after pauses that grow; whoever leaves the loop has enough.

    Args:
        url: ws:// or wss://, or relative to the page's address.
        subprotocols: those that this side speaks; the server chooses one.
        max_queue: messages that wait to be read before the server has to wait. Only Chromium does that, and
            what was not read when the server closes the connection is lost there. None: nobody waits, and
            the connection is closed with code 4008 when 64 MiB wait, as where the browser has no brake.
        open_timeout: seconds in which the connection must stand; None for no limit.
        close_timeout: seconds that closing may take; None for no limit.

    Raises:
        InvalidHandshake: the connection does not come about.
        TimeoutError: it takes too long.
        ValueError: ``url`` is no address of a WebSocket.
        TypeError: headers or another option that browsers do not let pages choose; the ``websockets`` library
            over pynet_browser's sockets can.
    """

    def __init__(
        self,
        url: str,
        *,
        subprotocols: Sequence[str] | None = None,
        max_queue: int | None = None,
        open_timeout: float | None = 10.0,
        close_timeout: float | None = 10.0,
        **others: Any,
    ) -> None:
        if others:
            raise TypeError(
                f"browsers do not let pages choose {', '.join(sorted(others))}; the websockets library over "
                "pynet_browser's sockets can"
            )
        self._url = url
        self._subprotocols = tuple(subprotocols or ())
        self._max_queue = max_queue
        self._open_timeout = open_timeout
        self._close_timeout = close_timeout
        self._connection: ClientConnection | None = None

    async def _connect(self) -> ClientConnection:
        async with asyncio.timeout(self._open_timeout):
            js = await open_connection(self._url, self._subprotocols, self._max_queue)
        self._connection = ClientConnection(Connection(js))
        return self._connection

    def __await__(self) -> Generator[Any, Any, ClientConnection]:
        return self._connect().__await__()

    async def __aenter__(self) -> ClientConnection:
        return await self._connect()

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        if self._connection:
            try:
                async with asyncio.timeout(self._close_timeout):
                    await self._connection.close()
            except TimeoutError:
                pass  # the browser goes on with it

    async def __aiter__(self) -> AsyncIterator[ClientConnection]:
        pause = PAUSE_FIRST
        while True:
            try:
                connection = await self._connect()
            except (InvalidHandshake, TimeoutError):
                await asyncio.sleep(pause * random.uniform(0.75, 1.25))
                pause = min(2 * pause, PAUSE_MAX)
                continue
            pause = PAUSE_FIRST
            try:
                yield connection
            finally:
                await self._close()
