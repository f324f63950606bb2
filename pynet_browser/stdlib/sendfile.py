"""Files sent by asyncio, where no system call does it: ``loop.sendfile`` and ``loop.sock_sendfile``.

The standard library's own ways of doing without ``os.sendfile`` start at the file's position where ``offset``
is 0; and, since transports no longer copy what they cannot send at once (Python 3.12), they fill a buffer
anew that is still waiting to be sent.
"""

from __future__ import annotations

from asyncio import base_events
from typing import Any

__all__ = ["send_by_socket", "send_by_transport"]

BLOCK = 64 * 1024

# Neither is among what the standard library promises; stdlib/loop.py says why they are used all the same.
FallbackProtocol = vars(base_events)["_SendfileFallbackProtocol"]
fallback = vars(base_events.BaseEventLoop)["_sock_sendfile_fallback"]


async def send_by_transport(_loop: Any, transport: Any, file: Any, offset: int, count: int | None) -> int:
    """``_sendfile_fallback`` of a loop: at most ``count`` bytes from ``offset`` on; returns how many."""
    file.seek(offset)
    protocol = FallbackProtocol(transport)
    sent = 0
    try:
        while data := file.read(BLOCK if count is None else min(BLOCK, count - sent)):
            transport.write(data)
            await protocol.drain()
            sent += len(data)
        return sent
    finally:
        file.seek(offset + sent)
        await protocol.restore()


async def send_by_socket(loop: Any, sock: Any, file: Any, offset: int, count: int | None) -> int:
    """``_sock_sendfile_fallback``: the same for a socket, which waits for each block."""
    file.seek(offset)
    sent: int = await fallback(loop, sock, file, offset, count)
    return sent
