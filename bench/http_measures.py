"""What is measured of HTTP and WebSockets, as a plain Python program does it in the page.

``raw_http.js`` is its twin. Every function returns seconds.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter
from urllib.request import urlopen

from bench.socket_measures import MESSAGE, Address


def urlopen_small(address: Address, count: int, size: int) -> float:
    """One answer read whole: the median."""

    def once(url: str) -> bytes:
        with urlopen(url) as response:
            return bytes(response.read())

    return _median(once, address, count, size)


def requests_small(address: Address, count: int, size: int) -> float:
    """The same by requests, whose session keeps what it can between requests."""
    import requests

    session = requests.Session()
    return _median(lambda url: session.get(url).content, address, count, size)


urlopen_large = urlopen_small
requests_large = requests_small


async def messages(address: Address, count: int) -> float:
    """Many small messages of a WebSocket, until the last is back."""
    from pynet_browser.websocket import connect

    async with connect(_echo(address)) as connection:
        start = perf_counter()
        for _ in range(count):
            await connection.send(MESSAGE)
        for _ in range(count):
            await connection.recv()
        return perf_counter() - start


def messages_sync(address: Address, count: int) -> float:
    """The same by blocking calls."""
    from pynet_browser.websocket.sync import connect

    with connect(_echo(address)) as connection:
        start = perf_counter()
        for _ in range(count):
            connection.send(MESSAGE)
        for _ in range(count):
            connection.recv()
        return perf_counter() - start


def _echo(address: Address) -> str:
    return f"ws://{address[0]}:{address[1]}/echo"


def _median(once: Callable[[str], bytes], address: Address, count: int, size: int) -> float:
    url = f"http://{address[0]}:{address[1]}/{size}"
    times = []
    for _ in range(count):
        start = perf_counter()
        if len(once(url)) != size:
            raise ConnectionError("the answer is not whole")
        times.append(perf_counter() - start)
    return statistics.median(times)
