from __future__ import annotations

import asyncio
import random
import time

import aiohttp
import pytest

from pynet_browser.frames import Data, Goaway, Ping, Poll, Pong, Unknown, Welcome
from pynet_browser.proxy.carriers import http
from pynet_browser.proxy.tcp import READ_MAX
from pynet_browser.wire import MESSAGE_HEADER, encode_message
from tests.peers import Source, pattern
from tests.proxy.carrier import RefusedError, hello
from tests.proxy.exchanges import GOODBYE, Exchanges, Request, connecting, message
from tests.proxy.hosts import Witness
from tests.proxy.polling import PollingPage
from tests.proxy.running import EVERY_LOOP, TOKEN, running_proxy, until

every_loop = pytest.mark.asyncio(loop_factories=EVERY_LOOP)


# ── Answers ───────────────────────────────────────────────────────────────────────────────────────────────


@every_loop
async def test_sockets_work(exchanges, echo_server):
    answer = await exchanges.make(connecting(echo_server, b"hello"), wait=5)
    assert answer.welcome.seen == 1
    assert await exchanges.received(5) == b"hello"


@every_loop
async def test_an_answer_is_held_back_until_there_is_something(exchanges, echo_server):
    await exchanges.make(connecting(echo_server), wait=5)
    waiting = asyncio.create_task(exchanges.make(wait=20))
    await exchanges.make(message(Data(1, b"hello"), number=2), limit=0)
    assert (await waiting).data == b"hello"


@every_loop
async def test_what_is_answered_at_once_is_answered_together(exchanges):
    unknown = b"\x7f\0\0\0\0\x05\0\0\0\0"
    answer = await exchanges.make(*(encode_message(number, 0, [unknown]) for number in range(1, 101)), wait=5)
    assert answer.frames[1:] == 100 * [(1, Unknown(5, 0x7F))]


async def test_an_answer_is_held_back_no_longer_than_it_may_be(exchanges):
    start = time.monotonic()
    answer = await exchanges.make(wait=0.2)
    assert 0.2 <= time.monotonic() - start < 5
    assert [type(frame) for _, frame in answer.frames] == [Welcome]


async def test_no_answer_is_held_back_for_longer_than_the_proxy_wants(exchanges, monkeypatch):
    monkeypatch.setattr(http, "WAIT_MAX", 0.2)
    start = time.monotonic()
    await exchanges.make(wait=1000)
    assert 0.2 <= time.monotonic() - start < 5


@every_loop
async def test_an_exchange_that_only_brings_is_answered_at_once_with_nothing(proxy, exchanges, echo_server):
    await exchanges.make(connecting(echo_server, b"hello"), limit=0)
    await until(lambda: proxy.sessions.buffered)
    answer = await exchanges.make(message(number=2), wait=20, limit=0)
    assert [type(frame) for _, frame in answer.frames] == [Welcome]
    assert answer.welcome.seen == 2
    assert await exchanges.received(5) == b"hello"


async def test_what_is_not_numbered_is_answered_behind_the_welcome(exchanges):
    unknown = encode_message(0, 0, [b"\x7f\0\0\0\0\x05\0\0\0\0"])
    numbered = encode_message(1, 0, [b"\x7e\0\0\0\0\x07\0\0\0\0"])
    answer = await exchanges.make(message(Ping(0, 7)), unknown, numbered, wait=5)
    assert answer.frames[1:] == [(0, Pong(0, 7)), (0, Unknown(5, 0x7F)), (1, Unknown(7, 0x7E))]


async def test_an_answer_holds_no_more_than_its_limit_but_one_message_at_least(proxy, exchanges):
    unknown = b"\x7f\0\0\0\0\x05\0\0\0\0"
    size = MESSAGE_HEADER.size + 11
    for number in range(1, 6):
        assert (await exchanges.make(encode_message(number, 0, [unknown]), limit=1)).numbers == [1]
        exchanges.seen = 0
    assert proxy.sessions.buffered == 5 * size
    assert (await exchanges.make(limit=3 * size)).numbers == [1, 2, 3]
    assert (await exchanges.make(limit=2 * size - 1)).numbers == [4]
    assert (await exchanges.make(limit=2 * size)).numbers == [5]


@every_loop
async def test_an_answer_that_does_not_arrive_is_given_again(proxy, exchanges, echo_server):
    lost = await exchanges.make(connecting(echo_server, b"hello"), wait=5)
    while not lost.data:
        exchanges.seen = 0
        lost = await exchanges.make(wait=5)
    exchanges.seen = 0
    again = await exchanges.make()
    assert again.numbers == lost.numbers == [*range(1, exchanges.seen + 1)]
    assert again.data == lost.data == b"hello"
    assert (await exchanges.make()).numbers == []


@every_loop
async def test_an_answer_may_have_megabytes(proxy):
    with Source(32 << 20) as peer:
        async with Exchanges(proxy.url, TOKEN, window=1 << 30) as exchanges:
            await exchanges.make(connecting(peer), wait=5, limit=8 << 20)
            await until(lambda: proxy.sessions.buffered >= 8 << 20)
            assert proxy.sessions.buffered < (8 << 20) + 2 * READ_MAX
            answer = await exchanges.make(limit=64 << 20)
            assert len(answer.data) > 7 << 20
            assert await exchanges.received(32 << 20) == pattern(32 << 20)
            await exchanges.make(GOODBYE)


async def test_an_eighth_of_what_the_page_keeps_is_acknowledged_without_waiting_for_more(proxy):
    async with Exchanges(proxy.url, TOKEN, replay=80_000) as exchanges:
        await exchanges.make(limit=0)
        waiting = asyncio.create_task(exchanges.make(wait=20))
        (session,) = proxy.sessions
        await until(lambda: session.carriage.exchanges)
        request = await Request.begun(
            proxy.address, 20_000
        )  # one that is not over when the other is answered
        request.writer.write(exchanges.greeting(limit=0) + message(Data(99, bytes(10_000)), number=1))
        assert (await waiting).welcome.seen == 1
        request.cut()
        await exchanges.make(GOODBYE)


# ── A session that exchanges carry ────────────────────────────────────────────────────────────────────────


@every_loop
@pytest.mark.parametrize("seed", [1, 2])
async def test_cuts_in_the_middle_of_transfers_lose_and_repeat_nothing(proxy, echo_server, seed):
    chance = random.Random(seed)
    async with PollingPage(proxy.url, TOKEN) as page:
        sockets = [page.connect(*echo_server.address) for _ in range(4)]

        async def echoed(number: int) -> bool:
            data = pattern(8 << 20, number << 28)
            sending = asyncio.create_task(sockets[number].send(data))
            received = await sockets[number].read(len(data))
            await sending
            return received == data

        transfers = [asyncio.create_task(echoed(number)) for number in range(len(sockets))]
        cuts = 0
        while not all(transfer.done() for transfer in transfers):
            await asyncio.sleep(chance.uniform(0, 0.05))
            page.cut()
            await page.open()
            cuts += 1
        assert all([await transfer for transfer in transfers])
        assert cuts > 5


@every_loop
async def test_a_session_ends_when_no_exchange_comes():
    async with running_proxy(grace=0.2) as proxy, Exchanges(proxy.url, TOKEN) as exchanges:
        with Witness() as peer:
            await exchanges.make(connecting(peer), wait=5)
            await until(peer.over.is_set)
        with pytest.raises(RefusedError, match=r"longer than its grace period of 0\.2 s"):
            await exchanges.make()


async def test_a_session_lasts_while_an_exchange_is_held_back(proxy, exchanges, echo_server):
    await exchanges.make(limit=0)
    [session] = proxy.sessions
    await until(lambda: session.carriage.detached)
    expiry = session.carriage._expiry
    waiting = asyncio.create_task(exchanges.make(wait=20))
    await until(lambda: session.carriage.exchanges)
    assert expiry.cancelled()
    assert (session.carriage.detached, session.carriage._expiry) == (False, None)
    await exchanges.make(connecting(echo_server, b"hello"))
    await waiting
    assert await exchanges.received(5) == b"hello"


@every_loop
async def test_a_page_that_has_gone_while_an_answer_was_held_back_is_noticed():
    async with running_proxy(grace=0.2) as proxy:
        greeting = message(hello(TOKEN), Poll(0, 25_000, 1))
        request = await Request.begun(proxy.address, len(greeting))
        request.writer.write(greeting)
        await until(lambda: len(proxy.sessions) == 1)
        request.cut()
        await until(lambda: len(proxy.sessions) == 0)


@every_loop
async def test_a_session_that_ends_says_so_last(proxy, exchanges, echo_server):
    await exchanges.make(connecting(echo_server), wait=5)
    waiting = asyncio.create_task(exchanges.make(wait=20))
    (session,) = proxy.sessions
    await until(lambda: session.carriage.exchanges)
    answer = await exchanges.make(GOODBYE, limit=0)
    for each in (answer, await waiting):
        assert each.status == 200
        assert isinstance(each.frames[0][1], Welcome)
        assert each.frames[-1] == (0, Goaway(0, "shutdown", "the session has ended"))
    assert (len(proxy.sessions), proxy.sessions.sockets) == (0, 0)
    with pytest.raises(RefusedError) as caught:
        await exchanges.make()
    assert caught.value.code == "session"


async def test_nothing_behind_the_end_of_a_session_is_heard(proxy, exchanges, echo_server):
    before = echo_server.accepted
    answer = await exchanges.make(GOODBYE, connecting(echo_server))
    assert answer.status == 200
    assert answer.frames[-1] == (0, Goaway(0, "shutdown", "the session has ended"))
    assert (len(proxy.sessions), proxy.sessions.sockets) == (0, 0)
    assert echo_server.accepted == before


async def test_a_proxy_that_stops_answers_what_it_has_held_back(echo_server):
    async with running_proxy() as proxy, Exchanges(proxy.url, TOKEN) as exchanges:
        await exchanges.make(connecting(echo_server), wait=5)
        waiting = asyncio.create_task(exchanges.make(wait=20))
        (session,) = proxy.sessions
        await until(lambda: session.carriage.exchanges)
        await proxy.stop()
        assert (await waiting).frames[-1] == (0, Goaway(0, "shutdown", "the proxy was stopped"))


async def test_a_fault_of_the_proxy_ends_the_session_with_a_word(proxy, exchanges, monkeypatch, caplog):
    await exchanges.make(limit=0)
    waiting = asyncio.create_task(exchanges.make(wait=20))
    (session,) = proxy.sessions
    await until(lambda: session.carriage.exchanges)
    monkeypatch.setattr("pynet_browser.proxy.session.Session.receive", lambda *_: 1 / 0)
    with pytest.raises(aiohttp.ClientError):
        async with exchanges.client.post(exchanges.url, data=exchanges.greeting() + message()) as response:
            response.raise_for_status()
    assert (await waiting).frames[-1][1] == Goaway(0, "internal", "the proxy failed; its log says more")
    assert "ZeroDivisionError" in caplog.text
