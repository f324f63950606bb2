"""What is measured of data channels, as a plain Python program does it in the page.

``raw_webrtc.js`` is its twin, whose far end answers here, too. Every function returns seconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from bench.socket_measures import MESSAGE, Address

if TYPE_CHECKING:
    from pynet_browser.webrtc import DataChannel

PIECE = bytes(65536)


async def channel_messages(_address: Address, count: int) -> float:
    """Many small messages, until the last is back."""
    async with _opened() as channel:
        start = perf_counter()
        for _ in range(count):
            await channel.send(MESSAGE)
        for _ in range(count):
            await channel.recv()
        return perf_counter() - start


async def channel_send(_address: Address, size: int) -> float:
    """Until the last byte is confirmed."""
    async with _opened() as channel:
        start = perf_counter()
        await channel.send(f"sink {size}")
        for at in range(0, size, len(PIECE)):
            await channel.send(PIECE[: size - at])
        await channel.recv()
        return perf_counter() - start


async def channel_receive(_address: Address, size: int) -> float:
    """From the request to the last byte."""
    async with _opened() as channel:
        start = perf_counter()
        await channel.send(f"source {size}")
        left = size
        while left:
            left -= len(await channel.recv())
        return perf_counter() - start


@asynccontextmanager
async def _opened() -> AsyncIterator[DataChannel]:
    from pyodide.code import run_js

    from pynet_browser.webrtc import PeerConnection

    far_end = run_js("rawWebrtc.farEnd")
    async with PeerConnection() as connection:
        channel = connection.create_data_channel("bench")
        await connection.set_remote_description(await far_end(await connection.create_offer()))
        await channel.wait_open(timeout=10)
        yield channel
