from __future__ import annotations

import asyncio

import pytest

from tests.proxy.exchanges import GOODBYE, Exchanges
from tests.proxy.posix_peer import program
from tests.proxy.running import TOKEN, running_proxy

try:
    import uvloop
except ImportError:  # the proxy does not require it, so neither do its tests
    LOOPS = {"asyncio": asyncio.new_event_loop}
else:
    LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def pytest_asyncio_loop_factories(item: pytest.Item):
    """Tests run on asyncio's own loop, unless their mark asks for others.

    What depends on a loop's transports says ``pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])``.
    """
    mark = item.get_closest_marker("asyncio")
    if mark is not None and "loop_factories" in mark.kwargs:
        return LOOPS
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture
async def proxy():
    async with running_proxy() as proxy:
        yield proxy


@pytest.fixture
async def prog(proxy):
    """A program whose POSIX sockets Emscripten proxies."""
    async with program(proxy) as running:
        yield running


@pytest.fixture
async def page(proxy):
    async with proxy.page() as page:
        yield page


@pytest.fixture
async def exchanges(proxy):
    """The session of a page that a test carries over HTTP by itself."""
    async with Exchanges(proxy.url, TOKEN) as exchanges:
        yield exchanges
        if any(session.name == exchanges.name for session in proxy.sessions):
            await exchanges.make(GOODBYE, limit=0)
