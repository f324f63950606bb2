"""The browser's own WebSocket: no proxy is involved. See docs/websocket.md."""

from __future__ import annotations

from pynet_browser.websocket.callbacks import ReadyState, WebSocket, deinitialize, is_supported
from pynet_browser.websocket.client import ClientConnection, attach, connect
from pynet_browser.websocket.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
)

__all__ = [
    "ClientConnection",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "InvalidHandshake",
    "ReadyState",
    "WebSocket",
    "attach",
    "connect",
    "deinitialize",
    "is_supported",
]
