"""What has ended is freed at once: the proxy lets Python's collector look for cycles but seldom."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator
from random import Random

import aiohttp
import pytest
import websockets
from aiohttp import web
from websockets import Subprotocol

from tests.peers import Echo
from tests.proxy.hosts import UdpEcho
from tests.proxy.running import TOKEN, RunningProxy, listening, running_proxy, until
from tests.proxy.tormentors import FOREIGN, conversation, torment, torment_as, torment_by_http, torment_relay

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

ROUNDS = 10


@pytest.fixture
async def proxy() -> AsyncIterator[RunningProxy]:
    async with running_proxy(grace=0.2, listen=listening("*")) as proxy:
        yield proxy


@pytest.fixture
def echo():
    with Echo() as echo:
        yield echo


async def talk(proxy: RunningProxy, port: int) -> None:
    """A page that does as pages do, and leaves."""
    async with proxy.page() as page:
        with UdpEcho() as hosts:
            connection = page.connect("127.0.0.1", port)
            await connection.send(b"hello")
            connection.shutdown()
            assert await connection.read() == b"hello"
            await page.stream().listen()
            datagrams = page.datagrams()
            datagrams.send(b"hello", *hosts.address)
            await datagrams.recv()
            await page.resolve("localhost")


def left(garbage: list[object]) -> Counter[str]:
    """The classes of ours whose objects only the collector has found."""
    names = (f"{type(each).__module__}.{type(each).__qualname__}" for each in garbage)
    return Counter(name for name in names if name.startswith("pynet_browser."))


@pytest.mark.parametrize("who", ["page", "hostile", "hostile by HTTP", "hostile relay", *FOREIGN])
async def test_what_has_ended_needs_no_collector(proxy: RunningProxy, echo: Echo, who: str) -> None:
    port = echo.port
    messages, chance = conversation(port), Random(7)
    async with aiohttp.ClientSession() as client:
        http = proxy.url.replace("ws", "http", 1)
        works = {
            "page": lambda: talk(proxy, port),
            "hostile": lambda: torment(proxy.url, TOKEN, messages, chance),
            "hostile by HTTP": lambda: torment_by_http(client, f"{http}/http", TOKEN, messages, chance),
            "hostile relay": lambda: torment_relay(client, f"{http}/fetch", TOKEN, port, chance),
        } | {kind: lambda: torment_as(who, proxy.base, TOKEN, port, chance) for kind in FOREIGN}
        await works[who]()  # whatever is made once
        gc.collect()
        gc.disable()
        try:
            for _ in range(ROUNDS):
                await works[who]()
            await until(lambda: not len(proxy.sessions) and not proxy.sessions.sockets)
            await asyncio.sleep(0.1)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            found = left(gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert found == {}


@pytest.mark.parametrize("message", [b"", b"no greeting"])
async def test_no_timer_keeps_a_websocket_that_was_closed(proxy: RunningProxy, message: bytes) -> None:
    for _ in range(ROUNDS):
        async with websockets.connect(
            proxy.url, subprotocols=[Subprotocol("pynet.v1")], proxy=None
        ) as socket:
            await socket.send(message)
            await socket.wait_closed()
            assert socket.close_code == 4400

    def kept() -> bool:
        gc.collect()
        return any(isinstance(each, web.WebSocketResponse) for each in gc.get_objects())

    await until(lambda: not kept())
