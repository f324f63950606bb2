"""One WebSocket of the browser, for code that awaits; ``sync`` has its twin."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterable, Iterable
from typing import Any, NoReturn, TypeAlias
from urllib.parse import urljoin, urlsplit

from pynet_browser.http.client import page_place
from pynet_browser.http.waiting import settled
from pynet_browser.runtime import page_side, to_page
from pynet_browser.websocket.exceptions import ABNORMAL, InvalidHandshake, closed

__all__ = ["Connection", "Data", "Face", "address", "attached", "checked_close", "open_connection"]

Data: TypeAlias = str | bytes | bytearray | memoryview

REASON_MAX = 123
"""Bytes of a reason (RFC 6455 §5.5.1)."""

NO_PINGS = (
    "browsers answer pings by themselves, and let no page send any or see their answers; send a message of "
    "your own, or use the websockets library over pynet_browser's sockets"
)


class Connection:
    """What both faces are made of: steps that wait are coroutines.

    Attributes:
        url: where it leads.
    """

    def __init__(self, js: Any) -> None:
        self._js = js
        self._send, self._take = js.send, js.take  # looked up once: each time takes some 10 µs
        self.url: str = str(js.url)

    @property
    def subprotocol(self) -> str | None:
        """What both sides have agreed upon."""
        return self._js.protocol or None

    @property
    def extensions(self) -> str:
        """What browser and server have agreed upon, as in the header."""
        return str(self._js.extensions)

    @property
    def close_code(self) -> int | None:
        """How it was closed; None while it is open."""
        ending = self._js.ending
        return int(ending.code) if ending else None

    @property
    def close_reason(self) -> str | None:
        """What the server said; None while it is open."""
        ending = self._js.ending
        return str(ending.reason) if ending else None

    @property
    def buffered_amount(self) -> int:
        """Bytes of messages that wait in the browser to be sent."""
        return int(self._js.unsent)

    @property
    def available(self) -> int:
        """Messages that are here, and were not read yet."""
        return int(self._js.available)

    def take(self, decode: bool | None) -> str | bytes | None:
        """A message that is here already.

        Raises:
            ConnectionClosed: none is, and none will come.
        """
        data = self._take()
        if data is None:
            self._raise_ending()
            return None
        if isinstance(data, str):
            return data.encode() if decode is False else data
        content = bytes(data.to_bytes())
        return content.decode() if decode else content

    async def next(self, decode: bool | None) -> str | bytes:
        """The next message.

        Raises:
            ConnectionClosed: there is none.
        """
        while (data := self.take(decode)) is None:
            await settled(self._js.ready())
        return data

    def give(self, message: Any, text: bool | None) -> Any:
        """Send a message; what is to be awaited before the next, or None.

        Raises:
            ConnectionClosed: it has ended.
            TypeError: that is no message.
        """
        waiting = self._send(_outgoing(message, text))
        if waiting is False:
            ending = self._js.ending
            raise closed(int(ending.code), str(ending.reason))
        return waiting

    def begin_end(self, code: int, reason: str) -> bool:
        """Begin to close it; whether there is anything to wait for.

        Raises:
            ValueError: a page may not give this code, or so long a reason.
        """
        checked_close(code, reason)
        if self._js.ending:
            return False
        self._js.close(code, reason)
        return True

    async def ended(self) -> None:
        """Wait until it is closed; what comes until then is thrown away."""
        while not self._js.ending:
            await settled(self._js.ready())
            while self._js.take() is not None:
                pass

    def share(self) -> str:
        """A token by which other threads of this origin attach to the connection."""
        token = secrets.token_urlsafe(18)
        page_side().share(self._js, token)
        return token

    def _raise_ending(self) -> None:
        ending = self._js.ending
        if ending and not self._js.available:
            raise closed(int(ending.code), str(ending.reason))


class Face:
    """What programs have of a connection, whether they await or not.

    Attributes:
        url: where it leads.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.url = connection.url

    @property
    def subprotocol(self) -> str | None:
        """What both sides have agreed upon; None for nothing."""
        return self._connection.subprotocol

    @property
    def extensions(self) -> str:
        """What browser and server have agreed upon, as in the header."""
        return self._connection.extensions

    @property
    def close_code(self) -> int | None:
        """How it was closed; None while it is open."""
        return self._connection.close_code

    @property
    def close_reason(self) -> str | None:
        """What the server said; None while it is open."""
        return self._connection.close_reason

    @property
    def buffered_amount(self) -> int:
        """Bytes of messages that wait in the browser to be sent."""
        return self._connection.buffered_amount

    def share(self) -> str:
        """Let other threads of this origin use the connection: a token for ``attach``.

        Each of them gets every message that comes from then on, and so does this one; what they send goes out
        in the order in which it arrives here. All see the connection close. Whoever knows the token can do
        all that.
        """
        return self._connection.share()

    def __repr__(self) -> str:
        state = "open" if self.close_code is None else "closed"
        return f"<{type(self).__name__} {self.url} {state}>"


def checked_close(code: int, reason: str) -> None:
    """Refuse what browsers do not let pages say.

    Raises:
        ValueError: it is that.
    """
    if code != 1000 and not 3000 <= code <= 4999:  # noqa: PLR2004 - what browsers allow
        raise ValueError(f"a page may close with code 1000 and 3000 to 4999, not {code}")
    if len(reason.encode()) > REASON_MAX:
        raise ValueError(f"a reason has at most {REASON_MAX} bytes in UTF-8")


async def open_connection(url: str, subprotocols: Iterable[str], limit: int | None) -> Any:
    """The page's side of a connection that is open.

    Raises:
        InvalidHandshake: it did not come about.
        ValueError: this is no address of a WebSocket.
    """
    js = page_side().openConnection(address(url), to_page(list(subprotocols)), limit or 0)
    try:
        await settled(js.opened)
    except BaseException:
        js.close()
        raise
    if js.ending and js.ending.code == ABNORMAL:
        raise InvalidHandshake(url, str(js.ending.error))
    return js


async def attached(token: str) -> Any:
    """The page's side of a connection that another thread shares.

    Raises:
        InvalidHandshake: nobody shares one by this token.
    """
    js = page_side().attach(token)
    await settled(js.opened)
    if js.ending and js.ending.error:
        raise InvalidHandshake("a shared connection", str(js.ending.error))
    return js


def address(url: str) -> str:
    """Where a WebSocket leads; relative to the page's address, as browsers have it.

    Raises:
        ValueError: it is no address of a WebSocket.
    """
    whole = urljoin(page_place().url.replace("http", "ws", 1), url)
    parts = urlsplit(whole)
    if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname or parts.fragment:
        raise ValueError(f"{url!r} is no address of a WebSocket: ws://… or wss://…, without a fragment")
    return whole.replace("http", "ws", 1) if parts.scheme.startswith("http") else whole


def _outgoing(message: Any, text: bool | None) -> Any:
    if isinstance(message, str):
        return to_page(message.encode()) if text is False else message
    if isinstance(message, bytes | bytearray | memoryview):
        return bytes(message).decode() if text else to_page(bytes(message))
    raise TypeError(f"a message is str or bytes, not {type(message).__name__}")


def refuse_ping() -> NoReturn:
    """Say why there are no pings.

    Raises:
        NotImplementedError: always.
    """
    raise NotImplementedError(NO_PINGS)


async def joined(message: Iterable[Data] | AsyncIterable[Data] | Data) -> Data:
    """One message of what came in pieces: browsers send no fragments."""
    if isinstance(message, str | bytes | bytearray | memoryview):
        return message
    pieces = [piece async for piece in message] if isinstance(message, AsyncIterable) else list(message)
    if pieces and isinstance(pieces[0], str):
        return "".join(pieces)  # type: ignore[arg-type]
    return b"".join(pieces)  # type: ignore[arg-type]
