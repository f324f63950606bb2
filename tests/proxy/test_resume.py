from __future__ import annotations

import asyncio
import random

import pytest
from websockets import ConnectionClosed

from pynet_browser.frames import Connect, Data, Goaway
from pynet_browser.window import WINDOW_INITIAL
from tests.peers import Source, pattern
from tests.proxy.carrier import Carrier, RefusedError, hello
from tests.proxy.client import Page, PageSocket
from tests.proxy.hosts import Witness
from tests.proxy.running import EVERY_LOOP, TOKEN, listening, running_proxy, until

every_loop = pytest.mark.asyncio(loop_factories=EVERY_LOOP)


async def refusal(page: Page) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        await page.open()
    return caught.value


async def echoed(socket: PageSocket, size: int, offset: int) -> bool:
    """Whether what is sent to an echo comes back as it was."""
    data = pattern(size, offset)

    async def send() -> None:
        await socket.send(data)
        socket.shutdown()

    sending = asyncio.create_task(send())
    received = await socket.read()
    await sending
    return received == data


# ── Nothing is lost or repeated ───────────────────────────────────────────────────────────────────────────


@every_loop
@pytest.mark.parametrize("seed", [1, 2])
async def test_cuts_in_the_middle_of_transfers_lose_and_repeat_nothing(page, echo_server, seed):
    chance = random.Random(seed)
    sockets = [page.connect(*echo_server.address) for _ in range(4)]
    transfers = [
        asyncio.create_task(echoed(socket, 12 << 20, number << 28)) for number, socket in enumerate(sockets)
    ]
    cuts = 0
    while not all(transfer.done() for transfer in transfers):
        await asyncio.sleep(chance.uniform(0, 0.03))
        page.cut()
        await page.lost()
        if chance.random() < 0.3:
            await asyncio.sleep(chance.uniform(0, 0.03))  # the hosts go on meanwhile
        await page.open()
        cuts += 1
    assert all([await transfer for transfer in transfers])
    assert cuts > 5


@every_loop
@pytest.mark.parametrize("seed", [1, 2])
async def test_cuts_lose_no_connection_that_came_in_and_none_of_its_bytes(seed):
    chance = random.Random(seed)
    async with running_proxy(listen=listening("*")) as proxy, proxy.page() as page:
        listener = page.stream()
        address = await listener.listen(4)
        pieces = [pattern(300_000, number << 20) for number in range(40)]

        async def visit(pieces: list[bytes]) -> None:
            for piece in pieces:
                reader, writer = await asyncio.open_connection(*address[1:])
                writer.write(piece)
                writer.write_eof()
                assert await reader.read() == piece
                writer.close()

        async def serve(socket: PageSocket) -> None:
            await socket.send(await socket.read())
            socket.shutdown()

        async def serve_all() -> None:
            async with asyncio.TaskGroup() as serving:
                for _ in pieces:
                    serving.create_task(serve(await listener.accept()))

        working = asyncio.gather(serve_all(), *(visit(pieces[first::4]) for first in range(4)))
        cuts = 0
        while not working.done():
            await asyncio.sleep(chance.uniform(0, 0.03))
            page.cut()
            await page.lost()
            await page.open()
            cuts += 1
        await working
        assert cuts > 3


@every_loop
async def test_newer_carriers_in_the_middle_of_transfers_lose_and_repeat_nothing(page, echo_server):
    sockets = [page.connect(*echo_server.address) for _ in range(4)]
    transfers = [
        asyncio.create_task(echoed(socket, 12 << 20, number << 28)) for number, socket in enumerate(sockets)
    ]
    while not all(transfer.done() for transfer in transfers):
        await asyncio.sleep(0.02)
        await page.open()
    assert all([await transfer for transfer in transfers])


async def test_what_the_host_sends_while_the_page_is_away_is_there_when_it_returns(proxy, page):
    with Source(WINDOW_INITIAL - 1) as peer:
        socket = page.connect(*peer.address)
        await socket.connected()
        page.cut()
        await page.lost()
        await until(lambda: proxy.sessions.buffered >= WINDOW_INITIAL - 1)
        before = socket.waiting
        await page.open()
        assert await socket.read() == pattern(WINDOW_INITIAL - 1)
        assert before < WINDOW_INITIAL - 1


async def test_what_the_page_sends_while_it_is_away_goes_out_when_it_returns(page, echo_server):
    socket = page.connect(*echo_server.address)
    await socket.connected()
    page.cut()
    await page.lost()
    await socket.send(b"hello")
    await page.open()
    assert await socket.recv() == b"hello"


async def test_a_message_that_comes_on_two_carriers_counts_once(proxy, echo_server):
    first = await Carrier.open(proxy.url)
    welcome = await first.greet(hello(TOKEN))
    await first.send(Connect(1, 0, echo_server.port, 0, echo_server.host), Data(1, b"once"), number=1)
    second = await Carrier.open(proxy.url)
    await second.greet(hello(TOKEN, session=welcome.session, key=welcome.key))
    await second.send(Connect(1, 0, echo_server.port, 0, echo_server.host), Data(1, b"once"), number=1)
    await second.send(Data(1, b" and again"), number=2)
    received = b""
    while len(received) < len(b"once and again"):
        for _, frame in await second.receive():
            received += frame.data if isinstance(frame, Data) else b""
    assert received == b"once and again"
    assert echo_server.accepted == 1
    await second.send(Goaway(0, "shutdown", ""))


# ── Who may come back ─────────────────────────────────────────────────────────────────────────────────────


async def test_the_wrong_key_does_not_open_a_session_nor_end_it(proxy, page, echo_server):
    socket = page.connect(*echo_server.address)
    thief = proxy.page()
    thief.name, thief.key = page.name, page.key[:-1] + ("A" if page.key[-1] != "A" else "B")
    assert (await refusal(thief)).code == "session"
    await socket.send(b"hello")
    assert await socket.recv() == b"hello"


async def test_the_key_alone_does_not_open_a_session(proxy, page, echo_server):
    socket = page.connect(*echo_server.address)
    thief = Page(proxy.url, "wrong")
    thief.name, thief.key = page.name, page.key
    assert (await refusal(thief)).code == "token"
    await socket.send(b"hello")
    assert await socket.recv() == b"hello"


async def test_a_session_that_the_proxy_does_not_know_is_refused(proxy):
    page = proxy.page()
    page.name, page.key = "0123456789abcdef", "secret"
    error = await refusal(page)
    assert error.code == "session"
    assert error.message.startswith("the proxy no longer knows this session")


async def test_a_page_that_claims_to_have_seen_what_was_never_sent_loses_its_session(proxy, echo_server):
    first = await Carrier.open(proxy.url)
    welcome = await first.greet(hello(TOKEN))
    await first.send(Connect(1, 0, echo_server.port, 0, echo_server.host), number=1)
    await first.receive()
    second = await Carrier.open(proxy.url)
    with pytest.raises(RefusedError, match="the session cannot be resumed"):
        await second.greet(hello(TOKEN, session=welcome.session, key=welcome.key, seen=1000))
    assert (len(proxy.sessions), proxy.sessions.sockets) == (0, 0)
    with pytest.raises(ConnectionClosed):
        await first.next_message()


async def test_a_page_that_left_cannot_come_back(proxy, page):
    await page.close()
    await until(lambda: len(proxy.sessions) == 0)
    assert (await refusal(page)).code == "session"


# ── Carriers come and go ──────────────────────────────────────────────────────────────────────────────────


@every_loop
async def test_a_carrier_that_is_replaced_is_closed(proxy):
    first = await Carrier.open(proxy.url)
    welcome = await first.greet(hello(TOKEN))
    second = await Carrier.open(proxy.url)
    await second.greet(hello(TOKEN, session=welcome.session, key=welcome.key))
    with pytest.raises(ConnectionClosed) as caught:
        await first.next_message()
    assert caught.value.rcvd
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4409, "the session has a newer carrier")
    await second.send(Goaway(0, "shutdown", ""))


@every_loop
async def test_a_carrier_that_is_dead_is_replaced_without_delay(proxy):
    with Source(8 << 20) as peer:
        tasks = asyncio.all_tasks()
        first = await Carrier.open(proxy.url)
        welcome = await first.greet(hello(TOKEN, window=1 << 30))
        first.socket.transport.pause_reading()
        await first.send(Connect(1, 0, peer.port, 0, peer.host), number=1)
        await until(lambda: proxy.sessions.buffered > 1 << 20)
        second = await Carrier.open(proxy.url)
        await second.greet(hello(TOKEN, session=welcome.session, key=welcome.key))
        received = b""
        while len(received) < 8 << 20:
            for _, frame in await second.receive():
                received += frame.data if isinstance(frame, Data) else b""
        assert received == pattern(8 << 20)
        await second.send(Goaway(0, "shutdown", ""))
        first.cut()
        await until(lambda: asyncio.all_tasks() <= tasks)


@every_loop
async def test_a_session_ends_when_its_page_stays_away(echo_server):
    async with running_proxy(grace=0.2) as proxy:
        with Witness() as peer:
            page = proxy.page()
            await page.open()
            await page.connect(*peer.address).connected()
            page.cut()
            await page.lost()
            await until(peer.over.is_set)
        assert (len(proxy.sessions), proxy.sessions.sockets) == (0, 0)
        error = await refusal(page)
        assert error.code == "session"
        assert error.message.endswith("longer than its grace period of 0.2 s")
        await page.close()


async def test_a_page_that_is_back_in_time_may_stay(proxy, page, echo_server):
    socket = page.connect(*echo_server.address)
    [session] = proxy.sessions
    page.cut()
    await until(lambda: session.carriage.detached)
    expiry = session.carriage._expiry
    await page.lost()
    await page.open()
    assert expiry.cancelled()
    assert (session.carriage.detached, session.carriage._expiry) == (False, None)
    await socket.send(b"hello")
    assert await socket.recv() == b"hello"


async def test_a_carrier_that_does_not_answer_pings_is_lost_and_its_session_is_not(echo_server):
    async with running_proxy(keepalive=0.2) as proxy:
        tasks = asyncio.all_tasks()
        carrier = await Carrier.open(proxy.url)
        page = proxy.page()
        welcome = await carrier.greet(hello(TOKEN))
        page.name, page.key = welcome.session, welcome.key
        carrier.socket.transport.pause_reading()
        await until(lambda: asyncio.all_tasks() <= tasks)
        await page.open()
        socket = page.connect(*echo_server.address)
        await socket.send(b"hello")
        assert await socket.recv() == b"hello"
        carrier.cut()
        await page.close()
