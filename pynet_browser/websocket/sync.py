"""The same for code that cannot await, as websockets.sync.client has it; Python must be suspendable."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

from pynet_browser.http.waiting import finished, on_loop, settled
from pynet_browser.websocket.connection import Connection, Data, Face, joined, open_connection, refuse_ping
from pynet_browser.websocket.exceptions import ConnectionClosedOK

__all__ = ["ClientConnection", "connect"]


class ClientConnection(Face):
    """See ``client.ClientConnection``.

    Calls that wait raise ``BlockingError`` where Python cannot be suspended.
    """

    def __init__(self, connection: Connection, close_timeout: float | None) -> None:
        super().__init__(connection)
        self._close_timeout = close_timeout

    def recv(self, timeout: float | None = None, decode: bool | None = None) -> str | bytes:
        """The next message.

        Args:
            timeout: seconds to wait for it; None for no limit.
            decode: True for ``str``, False for ``bytes``, whatever the server sent.

        Raises:
            TimeoutError: none came in time.
            ConnectionClosed: none will come.
        """
        data = self._connection.take(decode)
        if data is not None:
            return data
        if timeout is not None and timeout <= 0:
            raise TimeoutError("no message is here")
        if timeout is None:
            return finished(self._connection.next(decode))
        return on_loop(self._received(timeout, decode))

    async def _received(self, timeout: float | None, decode: bool | None) -> str | bytes:
        async with asyncio.timeout(timeout):
            return await self._connection.next(decode)

    def send(self, message: Data | Iterable[Data], text: bool | None = None) -> None:
        """Send a message; see ``client.ClientConnection.send``."""
        whole = message if isinstance(message, str | bytes) else finished(joined(message))
        waiting = self._connection.give(whole, text)
        if waiting is not None:
            finished(_awaited(waiting))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, and wait until it is closed; see ``client.ClientConnection.close``.

        Raises:
            BlockingError: Python cannot be suspended until it is closed. It is being closed all the same.
            ValueError: a page may not give this code, or so long a reason.
        """
        if self._connection.begin_end(code, reason):
            on_loop(self._ended())

    async def _ended(self) -> None:
        try:
            async with asyncio.timeout(self._close_timeout):
                await self._connection.ended()
        except TimeoutError:
            pass  # the browser goes on with it

    def ping(self, _data: Data | None = None) -> None:
        """There are no pings for pages.

        Raises:
            NotImplementedError: always; the message says what to do instead.
        """
        refuse_ping()

    pong = ping

    def __iter__(self) -> Iterator[str | bytes]:
        """Messages, until the server closes the connection as it should."""
        try:
            while True:
                yield self.recv()
        except ConnectionClosedOK:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _awaited(waiting: Any) -> None:
    await settled(waiting)


def connect(
    url: str,
    *,
    subprotocols: Sequence[str] | None = None,
    max_queue: int | None = None,
    open_timeout: float | None = 10.0,
    close_timeout: float | None = 10.0,
    **others: Any,
) -> ClientConnection:
    """Connect to a server; see ``client.connect``.

    Raises:
        BlockingError: Python cannot be suspended here.
        InvalidHandshake, TimeoutError, ValueError, TypeError: see there.
    """
    if others:
        raise TypeError(f"browsers do not let pages choose {', '.join(sorted(others))}")

    async def connected() -> Any:
        async with asyncio.timeout(open_timeout):
            return await open_connection(url, tuple(subprotocols or ()), max_queue)

    return ClientConnection(Connection(on_loop(connected())), close_timeout)
