"""WebSockets of clients that others wrote, as those open them."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import quote

import websockets
from websockets import ClientConnection, ConnectionClosed

from tests.proxy.running import TOKEN, RunningProxy

__all__ = ["ENCODED_TOKEN", "closing", "connect", "handshake", "peak_memory", "received", "refusal"]

ENCODED_TOKEN = quote(TOKEN, safe="")


@contextlib.asynccontextmanager
async def connect(
    proxy: RunningProxy, path: str, protocols: Sequence[str] = (), **options: Any
) -> AsyncIterator[ClientConnection]:
    """A WebSocket to a path of the proxy."""
    offered = [websockets.Subprotocol(each) for each in protocols] or None
    options = {"compression": None, "max_size": None, "close_timeout": 5} | options
    async with websockets.connect(f"{proxy.base}{path}", subprotocols=offered, **options) as socket:
        yield socket


async def refusal(
    proxy: RunningProxy, path: str, protocols: Sequence[str] = (), **options: Any
) -> tuple[int, str]:
    """Status and text with which a handshake is refused."""
    try:
        async with connect(proxy, path, protocols, **options):
            raise AssertionError("it was let in")
    except websockets.InvalidStatus as error:
        return error.response.status_code, error.response.body.decode()


async def handshake(proxy: RunningProxy, path: str, **headers: str) -> tuple[int, list[str]]:
    """Status and subprotocols that answer a handshake with these headers, ``_`` for ``-``."""
    lines = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    reader, writer = await asyncio.open_connection(*proxy.address)
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"GET {path} HTTP/1.1\r\n{text}\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    writer.close()
    pairs = [line.partition(": ") for line in head[1:]]
    return int(head[0].split()[1]), [value for name, _, value in pairs if name == "Sec-WebSocket-Protocol"]


async def received(socket: ClientConnection, size: int) -> bytes:
    """So many bytes, in whatever messages."""
    data = bytearray()
    while len(data) < size:
        piece = await asyncio.wait_for(socket.recv(), 10)
        assert isinstance(piece, bytes)
        data += piece
    return bytes(data)


async def closing(socket: ClientConnection) -> tuple[bytes, int | None, str]:
    """What still comes before the end, and code and reason of that."""
    data = bytearray()
    with contextlib.suppress(ConnectionClosed):
        while True:
            piece = await asyncio.wait_for(socket.recv(), 10)
            assert isinstance(piece, bytes)
            data += piece
    return bytes(data), socket.close_code, socket.close_reason or ""


def peak_memory() -> int:
    """Most bytes that this process has had in memory until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
