from __future__ import annotations

import pytest

from tests.proxy.running import EVERY_LOOP, running_proxy

pytestmark = pytest.mark.asyncio(loop_factories=EVERY_LOOP)


@pytest.fixture
async def page():
    async with running_proxy() as proxy, proxy.page() as page:
        yield page


async def test_bytes_go_to_the_host_and_back(page, echo_server):
    socket = page.connect(*echo_server.address)
    await socket.send(b"hello")
    assert await socket.recv() == b"hello"
