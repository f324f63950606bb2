"""What goes wrong with a WebSocket, by the names of the ``websockets`` library. Pure."""

from __future__ import annotations

import errno

from pynet_browser.errors import PyNetError

__all__ = ["ConnectionClosed", "ConnectionClosedError", "ConnectionClosedOK", "InvalidHandshake", "closed"]

NORMAL = (1000, 1001)
ABNORMAL = 1006
NO_CODE = 1005


class InvalidHandshake(PyNetError, ConnectionError):
    """No connection came about; browsers do not tell a page why."""

    def __init__(self, url: str, said: str) -> None:
        super().__init__(
            errno.ECONNREFUSED,
            f"no WebSocket at {url}: nobody answers there, the server refuses the handshake or its "
            "subprotocol, or the browser blocks it; browsers do not tell which"
            + (f" ({said})" if said else ""),
        )


class ConnectionClosed(PyNetError, ConnectionError):
    """The connection has ended.

    Attributes:
        code: the close code; 1005 if the server gave none, 1006 if the connection broke.
        reason: what the server said.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(errno.ECONNRESET, describe(code, reason))
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return describe(self.code, self.reason)


class ConnectionClosedOK(ConnectionClosed):
    """It was closed as it should be: with code 1000 or 1001, or without one."""


class ConnectionClosedError(ConnectionClosed):
    """It broke, or was closed with a code that tells of an error."""


def closed(code: int, reason: str) -> ConnectionClosed:
    """The exception for how a connection has ended."""
    kind = ConnectionClosedOK if code in (*NORMAL, NO_CODE) else ConnectionClosedError
    return kind(code, reason)


def describe(code: int, reason: str) -> str:
    """How a connection has ended, in words."""
    if code == ABNORMAL:
        return "the connection broke; no close frame came"
    if code == NO_CODE:
        return "closed without a code"
    return f"closed with code {code}" + (f": {reason}" if reason else "")
