"""What all WebSockets of the proxy need at their end."""

from __future__ import annotations

from aiohttp import web

__all__ = ["CLOSE_TIMEOUT", "close_reason", "stop_heartbeat"]

CLOSE_TIMEOUT = 2.0
"""Seconds in which a peer must have taken the last message and answered the close."""

REASON_MAX = 123
"""Bytes of text that a close frame has room for (RFC 6455 §5.5)."""


def close_reason(text: str) -> bytes:
    """As much of a text as a close frame takes."""
    return text.encode()[:REASON_MAX].decode(errors="ignore").encode()


def stop_heartbeat(socket: web.WebSocketResponse) -> None:
    """Have no timer keep a WebSocket that is closed; to be called when it is.

    What comes while aiohttp 3.14 closes one, such as the peer's own close, sets the timer of its heartbeat
    anew, and all of the connection, 11 kB, was kept for one and a half times the heartbeat.
    """
    cancel = getattr(socket, "_cancel_heartbeat", None)  # there is no public way
    if cancel is not None:
        cancel()
