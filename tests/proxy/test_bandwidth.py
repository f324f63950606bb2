"""How many bytes a second may go: a pace for connections, which lose nothing, and a bound for datagrams."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable

import pytest

from pynet_browser.frames import Relay, Response, Secured
from pynet_browser.proxy.config import Limits
from pynet_browser.proxy.tokens import parse_tokens
from tests.peers import Exchange, Source, pattern
from tests.proxy.carrier import hello
from tests.proxy.client import Page
from tests.proxy.exchanges import message
from tests.proxy.foreign import ENCODED_TOKEN, closing, connect
from tests.proxy.hosts import Sink, UdpHost
from tests.proxy.posix_peer import program
from tests.proxy.running import EVERY_LOOP, TOKEN, RunningProxy, Stopwatch, running_proxy, until
from tests.proxy.test_relay import ask, asked
from tests.proxy.test_tls import connected, request, served, server
from tests.web_site import WebSite

every_loop = pytest.mark.asyncio(loop_factories=EVERY_LOOP)

RATE = 1_000_000
BURST = 100_000
SIZE = 600_000
LIMITS = Limits(bytes_per_second=RATE, bytes_burst=BURST)
LEAST = (SIZE - BURST) / RATE
"""Seconds that it takes at least; a piece of 50,000 may go on credit."""


async def paced(moving: Awaitable[object], least: float = LEAST - 0.06, most: float = LEAST + 0.6) -> None:
    """Await it, and see that it kept to the pace: no faster, and not much slower."""
    watch = Stopwatch()
    await moving
    watch.stop(least, most)


@contextlib.asynccontextmanager
async def one_page(limits: Limits = LIMITS) -> AsyncIterator[tuple[RunningProxy, Page]]:
    async with running_proxy(limits) as proxy, proxy.page() as page:
        yield proxy, page


# ── Connections of pages ──────────────────────────────────────────────────────────────────────────────────


@every_loop
async def test_what_comes_from_hosts_keeps_to_the_rate_and_is_whole():
    with Source(SIZE) as peer:
        async with one_page() as (_, page):
            watch = Stopwatch()  # hosts send as soon as they are connected to
            stream = page.connect(*peer.address)
            await stream.connected()
            assert await stream.read() == pattern(SIZE)
            watch.stop(LEAST - 0.06, LEAST + 0.6)


@every_loop
@pytest.mark.parametrize("ending", ["shutdown", "close"])
async def test_what_goes_to_hosts_keeps_to_the_rate_and_all_of_it_goes_out(ending):
    with Sink() as peer:
        async with one_page() as (_, page):
            stream = page.connect(*peer.address)
            await stream.connected()
            watch = Stopwatch()
            await stream.send(pattern(SIZE))
            getattr(stream, ending)()
            await until(lambda: len(peer.data) == SIZE)
            watch.stop(LEAST - 0.06, LEAST + 0.6)
            assert bytes(peer.data) == pattern(SIZE)
            await until(lambda: peer.ended)


async def test_many_small_connections_do_not_get_round_it():
    with Sink() as peer:
        async with one_page() as (_, page):

            async def send() -> None:
                stream = page.connect(*peer.address)
                await stream.connected()
                await stream.send(pattern(SIZE // 10))
                stream.close()

            watch = Stopwatch()
            await asyncio.gather(*(send() for _ in range(10)))
            await until(lambda: len(peer.data) == SIZE)
            watch.stop(LEAST - 0.06, LEAST + 0.6)


async def test_sockets_of_one_page_share_the_rate_and_none_starves():
    with Source(4 << 20) as peer:
        async with one_page(Limits(bytes_per_second=RATE, bytes_burst=BURST)) as (_, page):
            sockets = [page.connect(*peer.address) for _ in range(4)]
            counts = [0] * 4

            async def read(index: int) -> None:
                while piece := await sockets[index].recv():
                    counts[index] += len(piece)

            watch = Stopwatch()
            reading = [asyncio.create_task(read(index)) for index in range(4)]
            await until(lambda: sum(counts) > RATE)
            watch.stop(0.8, 2)
            assert min(counts) > sum(counts) / 16
            for task in reading:
                task.cancel()


async def test_both_directions_have_their_own_rate():
    with Exchange(SIZE, 1 << 30) as peer:
        async with one_page() as (_, page):
            stream = page.connect(*peer.address)
            await stream.connected()
            await stream.send(bytes(4))
            await paced(asyncio.gather(stream.read(SIZE), stream.send(pattern(SIZE))))


async def test_what_is_small_does_not_wait_while_the_rate_is_kept(echo_server):
    async with one_page() as (_, page):
        stream = page.connect(*echo_server.address)
        await stream.connected()
        watch = Stopwatch()
        for _ in range(50):
            await stream.send(b"hello")
            assert await stream.recv() == b"hello"
        watch.stop(0, 0.5)


async def test_the_page_that_waits_keeps_no_other_waiting(echo_server):
    with Source(64 << 20) as peer:
        async with one_page() as (proxy, page), proxy.page() as other:
            greedy = page.connect(*peer.address)
            await greedy.read(200_000)
            reading = asyncio.create_task(greedy.read())
            stream = other.connect(*echo_server.address)
            watch = Stopwatch()
            for _ in range(20):
                await stream.send(b"hello")
                assert await stream.recv() == b"hello"
            watch.stop(0, 0.5)
            reading.cancel()


async def test_all_pages_together_keep_to_the_rate_of_all():
    limits = Limits(bytes_per_second_total=RATE)
    with Source(RATE) as peer:
        async with running_proxy(limits) as proxy, proxy.page() as first, proxy.page() as second:
            watch = Stopwatch()
            sockets = [page.connect(*peer.address) for page in (first, second)]
            for stream in sockets:
                await stream.connected()
            await asyncio.gather(*(stream.read() for stream in sockets))
            watch.stop(0.9, 1.8)


async def test_all_sessions_of_a_token_share_its_rate():
    text = f'[tokens.ada]\ntoken = "a"\nlimits = {{bytes_per_second = {RATE}, bytes_burst = {BURST}}}'
    with Source(SIZE // 2) as peer:
        async with (
            running_proxy(tokens=parse_tokens(text)) as proxy,
            Page(proxy.url, "a") as first,
            Page(proxy.url, "a") as second,
            proxy.page() as other,
        ):
            watch = Stopwatch()
            sockets = [page.connect(*peer.address) for page in (first, second)]
            for stream in sockets:
                await stream.connected()
            reading = asyncio.gather(*(stream.read() for stream in sockets))
            free = other.connect(*peer.address)
            await paced(free.read(), 0, 0.3)
            await reading
            watch.stop(LEAST - 0.06, LEAST + 0.6)


async def test_connections_of_all_sessions_keep_to_the_rate_of_all(echo_server):
    limits = Limits(connects_per_second_total=10)
    async with running_proxy(limits) as proxy, proxy.page() as first, proxy.page() as second:
        watch = Stopwatch()
        for _ in range(8):
            for page in (first, second):
                await page.connect(*echo_server.address).connected()
        watch.stop(0.5, 2)


async def test_a_page_that_floods_the_proxy_with_connects_takes_no_turns_of_the_others(echo_server):
    limits = Limits(connects_per_second=10, connect_burst=10, connects_per_second_total=40)
    async with running_proxy(limits) as proxy, proxy.page() as greedy, proxy.page() as other:
        for _ in range(900):
            greedy.connect(*echo_server.address)
        await greedy.resolve("127.0.0.1")
        watch = Stopwatch()
        for _ in range(5):
            await other.connect(*echo_server.address).connected()
        watch.stop(0, 1)


# ── Datagrams ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_datagrams_beyond_the_rate_are_dropped_and_counted():
    async with one_page(Limits(bytes_per_second=10_000, bytes_burst=10_000)) as (_, page):
        with UdpHost() as host:
            stream = page.datagrams()
            start = time.monotonic()
            for _ in range(100):
                stream.send(bytes(1000), *host.address)
            await until(lambda: stream.dropped + host.heard() == 100)
            assert 10 <= host.heard() <= 12 + 10 * (time.monotonic() - start)


async def test_datagrams_of_hosts_beyond_the_rate_are_dropped_and_counted():
    async with one_page(Limits(bytes_per_second=10_000, bytes_burst=10_000)) as (_, page):
        with UdpHost() as host:
            stream = page.datagrams()
            stream.send(b"hello", *host.address)
            _, source = await host.recv()
            start = time.monotonic()
            for _ in range(40):  # as many as the system keeps
                host.send(bytes(1000), *source)
            await until(lambda: stream.dropped + stream.queue.qsize() == 40)
            assert 10 <= stream.queue.qsize() <= 12 + 10 * (time.monotonic() - start)


# ── Others ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_foreign_clients_keep_to_it_both_ways(hash_server):
    with Source(SIZE) as peer:
        async with running_proxy(LIMITS) as proxy:
            path = f"/websockify/{peer.host}/{peer.port}?token={ENCODED_TOKEN}"
            watch = Stopwatch()
            async with connect(proxy, path) as stream:
                data, code, _ = await closing(stream)
                assert (data, code) == (pattern(SIZE), 1000)
                watch.stop(LEAST - 0.06, LEAST + 0.6)
    with Sink() as recorder:
        async with running_proxy(LIMITS) as proxy:
            path = f"/websockify/{recorder.host}/{recorder.port}?token={ENCODED_TOKEN}"
            watch = Stopwatch()
            async with connect(proxy, path) as stream:
                for at in range(0, SIZE, 100_000):
                    await stream.send(pattern(100_000, at))
            await until(lambda: len(recorder.data) == SIZE)
            watch.stop(LEAST - 0.06, LEAST + 0.6)
            assert bytes(recorder.data) == pattern(SIZE)


async def test_programs_with_posix_sockets_keep_to_it_both_ways():
    with Source(SIZE) as peer, Sink() as recorder:
        async with running_proxy(LIMITS) as proxy, program(proxy) as prog:
            down, up = await prog.connected(*peer.address), await prog.connected(*recorder.address)
            watch = Stopwatch()
            answer = await prog.recv(down, SIZE, 0x100)
            assert answer.extra == pattern(SIZE)
            watch.stop(LEAST - 0.06, LEAST + 0.6)
            watch = Stopwatch()
            assert (await prog.send(up, pattern(SIZE))).ret == SIZE
            watch.stop(LEAST - 0.06, LEAST + 0.6)
            await until(lambda: bytes(recorder.data) == pattern(SIZE))


async def test_relayed_requests_keep_to_the_rate_of_all_both_ways():
    size = 1_500_000
    with WebSite(cors=False) as site:
        async with running_proxy(Limits(bytes_per_second_total=500_000)) as proxy:
            greeting = message(hello(TOKEN), Relay(0))
            watch = Stopwatch()
            posting, body = asked(f"{site.url}/echo", "POST", size=size), pattern(size)
            _, frame, told = await ask(proxy, greeting, posting, body)
            assert isinstance(frame, Response)
            assert json.loads(told)["sha256"] == hashlib.sha256(body).hexdigest()
            watch.stop(1, 5)  # the last piece goes on credit
            watch = Stopwatch()
            _, _, data = await ask(proxy, greeting, asked(f"{site.url}/gzip?bytes={size}"))
            assert data == body
            watch.stop(1, 5)  # the last piece goes on credit


@every_loop
@pytest.mark.parametrize("ending", ["shutdown", "close"])
async def test_tls_that_the_proxy_ends_keeps_to_it_and_all_goes_out(authority, ending):
    came = bytearray()
    ended = asyncio.Event()

    async def take(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while piece := await reader.read(1 << 16):
            came.extend(piece)
        ended.set()

    async with (
        running_proxy(LIMITS, tls_proxy=True) as proxy,
        server(take, served(authority.good)) as port,
        connected(proxy, port) as (page, stream),
    ):
        assert isinstance(await page.request(request(authority, stream.id)), Secured)
        watch = Stopwatch()
        await stream.send(pattern(SIZE))
        getattr(stream, ending)()
        await asyncio.wait_for(ended.wait(), 10)
        watch.stop(LEAST - 0.06, LEAST + 0.6)
        assert bytes(came) == pattern(SIZE)
