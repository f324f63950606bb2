"""The browser's WebSocket with callbacks, after emscripten/websocket.h; no proxy is involved."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

from pynet_browser.runtime import callback, page_error, page_side, to_page
from pynet_browser.websocket.connection import Data, address, checked_close

__all__ = ["ReadyState", "WebSocket", "deinitialize", "is_supported"]


class ReadyState(IntEnum):
    """Where a WebSocket is in its life."""

    CONNECTING = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3


class WebSocket:
    """One WebSocket, which connects as soon as it is made.

    Args:
        url: ws:// or wss://, or relative to the page's address.
        protocols: subprotocols that this side speaks; the server chooses one.

    Attributes:
        onopen: called with the WebSocket when it is open.
        onmessage: called with it and a message: ``str`` for text, ``bytes`` for binary.
        onerror: called with it when it fails; browsers do not tell why, and ``onclose`` follows.
        onclose: called with it, the close code, the reason, and whether both sides have agreed to close.

    Raises:
        ValueError: the address or a subprotocol is none.
    """

    def __init__(
        self,
        url: str,
        protocols: Sequence[str] = (),
        *,
        onopen: Callable[[WebSocket], object] | None = None,
        onmessage: Callable[[WebSocket, str | bytes], object] | None = None,
        onerror: Callable[[WebSocket], object] | None = None,
        onclose: Callable[[WebSocket, int, str, bool], object] | None = None,
    ) -> None:
        self.onopen, self.onmessage, self.onerror, self.onclose = onopen, onmessage, onerror, onclose
        self._told: Any = callback(self._tell)
        try:
            self._js: Any = page_side().openCallbacks(address(url), to_page(list(protocols)), self._told)
        except page_error() as error:
            self._told.destroy()
            raise ValueError(str(error)) from None
        _all.add(self)

    def _tell(self, event: str, *details: Any) -> None:
        if event == "message":
            (data,) = details
            if self.onmessage:
                self.onmessage(self, data if isinstance(data, str) else bytes(data.to_bytes()))
        elif event == "close":
            if self.onclose:
                self.onclose(self, *details)
        elif handler := self.onopen if event == "open" else self.onerror:
            handler(self)

    @property
    def ready_state(self) -> ReadyState:
        """Where it is in its life."""
        return ReadyState(self._js.readyState)

    @property
    def buffered_amount(self) -> int:
        """Bytes of messages that the browser has not sent yet."""
        return int(self._js.bufferedAmount)

    @property
    def url(self) -> str:
        """Where it leads, as the browser writes it."""
        return str(self._js.url)

    @property
    def protocol(self) -> str:
        """The subprotocol that the server has chosen; empty for none."""
        return str(self._js.protocol)

    @property
    def extensions(self) -> str:
        """The extensions in use, as in the header."""
        return str(self._js.extensions)

    def send_text(self, text: str) -> None:
        """Send one message of text.

        Raises:
            OSError: it is not open.
        """
        self._send(text)

    def send_binary(self, data: bytes | bytearray | memoryview) -> None:
        """Send one binary message.

        Raises:
            OSError: it is not open.
        """
        self._send(to_page(bytes(data)))

    def send(self, message: Data) -> None:
        """Send one message: text for ``str``, else binary."""
        if isinstance(message, str):
            self.send_text(message)
        else:
            self.send_binary(message)

    def _send(self, message: Any) -> None:
        if self.ready_state is not ReadyState.OPEN:
            raise ConnectionError(f"the WebSocket is {self.ready_state.name.lower()}, not open")
        self._js.send(message)

    def close(self, code: int | None = None, reason: str = "") -> None:
        """Begin to close it: what was sent goes out first. ``onclose`` tells when it is closed.

        Raises:
            ValueError: a page may not give this code, or so long a reason.
        """
        if code is None:
            self._js.close()
        else:
            checked_close(code, reason)
            self._js.close(code, reason)

    def delete(self) -> None:
        """Call back no more, and let go of it. It is closed, unless it was."""
        if self._told is None:
            return
        page_side().detach(self._js)
        if self.ready_state in (ReadyState.CONNECTING, ReadyState.OPEN):
            self._js.close()
        self._told.destroy()
        self._told = None
        _all.discard(self)


_all: weakref.WeakSet[WebSocket] = weakref.WeakSet()


def is_supported() -> bool:
    """Whether this browser has WebSockets."""
    return bool(page_side().hasWebSockets())


def deinitialize() -> None:
    """Close and delete all of them."""
    for each in list(_all):
        each.delete()
