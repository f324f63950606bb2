from __future__ import annotations

import asyncio
import signal
import time

import pytest

from pynet_browser.frames import Data, Goaway
from tests.proxy.carrier import RefusedError
from tests.proxy.exchanges import Exchanges, connecting, message
from tests.proxy.polling import PollingPage
from tests.proxy.process import running
from tests.proxy.running import EVERY_LOOP, TOKEN, until

every_loop = pytest.mark.asyncio(loop_factories=EVERY_LOOP)

NOTICE = (0, Goaway(0, "drain", "the proxy is about to stop"))


# ── What pages are told, and what they still can do ───────────────────────────────────────────────────────


@every_loop
async def test_pages_are_told_that_the_proxy_will_stop_and_go_on(proxy, page, echo_server):
    socket = page.connect(*echo_server.address)
    await socket.connected()
    proxy.sessions.drain()
    await page.draining.wait()
    await socket.send(b"hello")
    assert await socket.recv() == b"hello"
    later = page.connect(*echo_server.address)
    await later.send(b"again")
    assert await later.recv() == b"again"


async def test_a_page_that_comes_back_is_told_then(proxy, page, echo_server):
    socket = page.connect(*echo_server.address)
    await socket.connected()
    page.cut()
    await page.lost()
    proxy.sessions.drain()
    await socket.send(b"hello")
    await page.open()
    await page.draining.wait()
    assert await socket.recv() == b"hello"


@every_loop
async def test_an_exchange_that_is_held_back_is_answered_with_the_notice(proxy, exchanges, echo_server):
    await exchanges.make(connecting(echo_server), wait=5)
    waiting = asyncio.create_task(exchanges.make(wait=20))
    (session,) = proxy.sessions
    await until(lambda: session.carriage.exchanges)
    proxy.sessions.drain()
    assert (await waiting).frames[1:] == [NOTICE]
    waiting = asyncio.create_task(exchanges.make(wait=20))  # which may wait again
    await exchanges.make(message(Data(1, b"hello"), number=2), limit=0)
    answer = await waiting
    assert answer.frames[1] == NOTICE
    assert answer.data == b"hello"


async def test_a_page_that_makes_exchanges_goes_on(proxy, echo_server):
    async with PollingPage(proxy.url, TOKEN) as page:
        socket = page.connect(*echo_server.address)
        await socket.connected()
        proxy.sessions.drain()
        await page.draining.wait()
        await socket.send(b"hello")
        assert await socket.recv() == b"hello"


async def test_no_new_session_begins(proxy, page):
    proxy.sessions.drain()
    with pytest.raises(RefusedError) as caught:
        await proxy.page().open()
    assert (caught.value.code, caught.value.message) == ("busy", "the proxy is stopping")
    async with Exchanges(proxy.url, TOKEN) as exchanges:
        with pytest.raises(RefusedError, match="the proxy is stopping"):
            await exchanges.make()


@every_loop
async def test_it_is_drained_when_the_last_socket_is_done_and_everything_was_taken(proxy, page, echo_server):
    sockets = [page.connect(*echo_server.address) for _ in range(2)]
    for socket in sockets:
        await socket.connected()
    proxy.sessions.drain()
    drained = asyncio.create_task(proxy.sessions.drained())
    sockets[0].close()
    await until(lambda: proxy.sessions.sockets == 1)
    await sockets[1].send(b"hello")
    sockets[1].shutdown()
    assert not drained.done()
    assert await sockets[1].read() == b"hello"
    await drained
    assert proxy.sessions.sockets == 0


async def test_a_session_with_nothing_to_do_is_waited_for_by_nobody(proxy, page):
    await page.resolve("127.0.0.1", "80")
    proxy.sessions.drain()
    await asyncio.wait_for(proxy.sessions.drained(), 5)


# ── The process ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_exits_when_pages_are_done(echo_server, number):
    async with running("--drain", "60", "--no-demo") as proxy:
        page = proxy.page()
        await page.open()
        socket = page.connect(*echo_server.address)
        await socket.connected()
        stopping = asyncio.create_task(proxy.stop(number))
        await page.draining.wait()
        assert await proxy.line() == (
            "Waiting up to 60 s for pages to finish (open sockets: 1). Ctrl-C stops at once.\n"
        )
        await socket.send(b"hello")
        assert await socket.recv() == b"hello"
        socket.close()
        status, _ = await stopping
        assert status == 0
        await page.lost()
        assert page.over
        assert (page.over.code, page.over.message) == ("shutdown", "the proxy was stopped")
        await page.close()


async def test_it_exits_when_pages_are_not_done_in_time(echo_server):
    async with running("--drain", "0.3", "--no-demo") as proxy:
        page = proxy.page()
        await page.open()
        await page.connect(*echo_server.address).connected()
        start = time.monotonic()
        status, _ = await proxy.stop()
        assert status == 0
        assert 0.3 <= time.monotonic() - start < 5
        await page.lost()
        assert page.over
        assert page.over.code == "shutdown"
        await page.close()


async def test_a_second_signal_stops_it_at_once(echo_server):
    async with running("--drain", "60", "--no-demo") as proxy:
        page = proxy.page()
        await page.open()
        await page.connect(*echo_server.address).connected()
        stopping = asyncio.create_task(proxy.stop())
        await page.draining.wait()
        assert (await proxy.line()).startswith("Waiting up to 60 s")
        proxy.process.send_signal(signal.SIGINT)
        status, seconds = await stopping
        assert (status, seconds < 5) == (0, True)
        await page.lost()
        await page.close()


@pytest.mark.parametrize("drain", ["0", "60"])
async def test_it_waits_for_nothing_where_there_is_nothing_to_wait_for_or_no_time(echo_server, drain):
    async with running("--drain", drain, "--no-demo") as proxy, proxy.page() as page:
        if drain == "0":
            await page.connect(*echo_server.address).connected()
        status, seconds = await proxy.stop()
        assert (status, seconds < 5) == (0, True)
        assert await proxy.line() == ""
        await page.lost()
