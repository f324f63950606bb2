from __future__ import annotations

import asyncio
import random

import pytest
from websockets import ConnectionClosed

from pynet_browser.frames import Connect, Connected, Data, Frame, Goaway, Ping, Pong, Welcome
from tests.peers import Source, pattern
from tests.proxy.carrier import Carrier, RefusedError, hello
from tests.proxy.client import Page
from tests.proxy.exchanges import GOODBYE, Answer, Exchanges, Request, connecting, message
from tests.proxy.running import EVERY_LOOP, TOKEN, running_proxy, until

every_loop = pytest.mark.asyncio(loop_factories=EVERY_LOOP)


@pytest.fixture
async def socket(proxy, exchanges):
    """A WebSocket of the session that ``exchanges`` carries, too."""
    return await attached(proxy, exchanges)


async def attached(proxy, exchanges: Exchanges) -> Carrier:
    """A WebSocket more for a session, or one that begins it."""
    socket = await Carrier.open(proxy.url)
    greeting = hello(TOKEN, session=exchanges.name, key=exchanges.key, seen=exchanges.seen)
    welcome = await socket.greet(greeting)
    exchanges.name, exchanges.key = welcome.session, welcome.key
    return socket


async def numbered(socket: Carrier) -> tuple[int, list[Frame]]:
    """The next message with a number."""
    while True:
        frames = await socket.receive()
        if number := frames[0][0]:
            return number, [frame for _, frame in frames]


async def data_on(socket: Carrier, size: int, *, least: int = 0) -> bytes:
    """What sockets are sent by messages above a number, each counted once."""
    data = b""
    while len(data) < size:
        number, frames = await numbered(socket)
        if number > least:
            least = number
            data += b"".join(frame.data for frame in frames if isinstance(frame, Data))
    return data


async def held(proxy, exchanges: Exchanges) -> asyncio.Task[Answer]:
    """An exchange whose answer is held back."""
    waiting = asyncio.create_task(exchanges.make(wait=20))
    (session,) = proxy.sessions
    await until(lambda: session.carriage.exchanges)
    return waiting


# ── Each message once ─────────────────────────────────────────────────────────────────────────────────────


@every_loop
async def test_a_message_that_comes_by_both_counts_once(socket, exchanges, echo_server):
    before = echo_server.accepted
    connect = connecting(echo_server, b"once")
    await socket.send_bytes(connect)
    await exchanges.make(connect, limit=0)
    await socket.send_bytes(message(Data(1, b" and again"), number=2))
    await exchanges.make(message(Data(1, b" and again"), number=2), limit=0)
    assert await exchanges.received(len("once and again")) == b"once and again"
    assert echo_server.accepted == before + 1


@every_loop
async def test_an_exchange_takes_along_what_the_websocket_had_sent_unless_it_was_seen(
    socket, exchanges, echo_server
):
    await socket.send_bytes(connecting(echo_server, b"hello"))
    assert await data_on(socket, 5) == b"hello"
    again = await exchanges.make()
    assert again.data == b"hello"
    assert again.numbers == [*range(1, exchanges.seen + 1)]
    assert (await exchanges.make()).numbers == []


@every_loop
@pytest.mark.parametrize("seed", [1, 2])
async def test_exchanges_in_the_middle_of_transfers_lose_and_repeat_nothing(proxy, echo_server, seed):
    chance = random.Random(seed)
    async with proxy.page() as page, Exchanges(proxy.url, TOKEN) as exchanges:
        exchanges.name, exchanges.key = page.name, page.key
        transfers = [asyncio.create_task(echoed(page, echo_server, number)) for number in range(4)]
        count = 0
        while not all(transfer.done() for transfer in transfers):
            exchanges.seen = page.link.received
            answer = await exchanges.make(*page.link.outstanding(1 << 20), wait=chance.uniform(0, 0.01))
            page.acknowledged(answer.welcome.seen)
            for each in answer.messages[1:]:
                page.take_in(each)
            await asyncio.sleep(chance.uniform(0, 0.03))
            if chance.random() < 0.2:
                page.cut()
                await page.lost()
                await page.open()
            count += 1
        assert all([await transfer for transfer in transfers])
        assert count > 5


async def echoed(page: Page, echo_server, number: int) -> bool:
    """Whether what is sent to an echo comes back as it was."""
    data = pattern(24 << 20, number << 28)
    socket = page.connect(*echo_server.address)
    sending = asyncio.create_task(socket.send(data))
    received = await socket.read(len(data))
    await sending
    return received == data


# ── Which of them takes the messages ──────────────────────────────────────────────────────────────────────


async def quiet(proxy, socket: Carrier, exchanges: Exchanges, number: int) -> bool:
    """Whether a WebSocket brings nothing until something is heard on it; ``number`` is its next."""
    (session,) = proxy.sessions
    await exchanges.make(message(Data(1, b"unheard"), number=number), limit=0)
    await until(lambda: not session.link.all_acknowledged)
    await exchanges.make()
    await socket.send(Data(1, b"heard"), number=number + 1, ack=exchanges.seen)
    return await numbered(socket) == (exchanges.seen + 1, [Data(1, b"heard")])


@every_loop
async def test_the_websocket_is_quiet_after_an_exchange_until_something_is_heard_on_it(
    proxy, socket, exchanges, echo_server
):
    await exchanges.make(connecting(echo_server), wait=5)
    assert await quiet(proxy, socket, exchanges, 2)
    assert exchanges.data == b"unheard"


@every_loop
async def test_what_comes_late_on_the_websocket_does_not_end_its_quiet(proxy, socket, exchanges, echo_server):
    await exchanges.make(connecting(echo_server), wait=5)
    await exchanges.make(wait=0.01)
    waiting = await held(proxy, exchanges)
    await socket.send(Ping(0, 7))
    assert await socket.receive() == [(0, Pong(0, 7))]
    await exchanges.make(message(Data(1, b"hello"), number=2), limit=0)
    assert (await waiting).data == b"hello"
    assert await quiet(proxy, socket, exchanges, 3)


@every_loop
async def test_an_exchange_that_only_brings_leaves_the_messages_to_the_websocket(
    socket, exchanges, echo_server
):
    await exchanges.make(connecting(echo_server, b"hello"), limit=0)
    number, (connected, *_) = await numbered(socket)
    assert number == 1
    assert isinstance(connected, Connected)


@every_loop
async def test_a_newer_exchange_ends_the_older_one(proxy, exchanges):
    await exchanges.make(limit=0)
    older = await held(proxy, exchanges)
    newer = asyncio.create_task(exchanges.make(wait=20))
    answer = await asyncio.wait_for(older, 10)
    assert [type(frame) for _, frame in answer.frames] == [Welcome]
    await exchanges.make(limit=0)
    assert not newer.done()
    await exchanges.make(GOODBYE, limit=0)
    await newer


@every_loop
async def test_a_websocket_that_attaches_ends_an_exchange_and_takes_the_messages(
    proxy, exchanges, echo_server
):
    await exchanges.make(connecting(echo_server), wait=5)
    waiting = await held(proxy, exchanges)
    socket = await attached(proxy, exchanges)
    assert [type(frame) for _, frame in (await waiting).frames] == [Welcome]
    await exchanges.make(message(Data(1, b"hello"), number=2), limit=0)
    assert await data_on(socket, 5) == b"hello"


@every_loop
async def test_the_websocket_speaks_again_when_an_exchange_is_broken_off(
    proxy, socket, exchanges, echo_server
):
    await exchanges.make(connecting(echo_server), wait=5)
    greeting = exchanges.greeting(wait=25)
    request = await Request.begun(proxy.address, len(greeting))
    request.writer.write(greeting)
    (session,) = proxy.sessions
    await until(lambda: session.carriage.exchanges)
    request.cut()
    await exchanges.make(message(Data(1, b"hello"), number=2), limit=0)
    assert await data_on(socket, 5) == b"hello"


@every_loop
async def test_the_websocket_sends_again_what_an_answer_that_was_broken_off_had_taken(proxy):
    with Source(12 << 20) as peer:
        async with Exchanges(proxy.url, TOKEN, window=1 << 30) as exchanges:
            await exchanges.make(limit=0)
            socket = await attached(proxy, exchanges)
            await exchanges.make(connecting(peer), wait=5, limit=8 << 20)
            await until(lambda: proxy.sessions.buffered >= 8 << 20)
            greeting = exchanges.greeting(limit=8 << 20)
            request = await Request.begun(proxy.address, len(greeting), receive_buffer=4096)
            request.writer.write(greeting)
            assert await request.status() == 200  # and the rest of it stays where it is
            assert proxy.sessions.buffered > 14 << 20  # twice what it holds, of 12 MiB in all
            request.cut()
            before, least = bytes(exchanges.data), exchanges.seen
            rest = await data_on(socket, (12 << 20) - len(before), least=least)
            assert before + rest == pattern(12 << 20)
            await socket.send(Goaway(0, "shutdown", ""))


# ── A session and those that carry it ─────────────────────────────────────────────────────────────────────


@every_loop
async def test_a_session_lasts_while_either_carries_it(proxy, exchanges, echo_server):
    await exchanges.make(limit=0)
    (session,) = proxy.sessions
    carriage = session.carriage
    await until(lambda: carriage.detached)
    expiry = carriage._expiry
    socket = await attached(proxy, exchanges)
    assert expiry.cancelled()
    waiting = await held(proxy, exchanges)
    socket.cut()
    await until(lambda: carriage._socket is None)
    assert (carriage.detached, carriage._expiry) == (False, None)
    socket = await attached(proxy, exchanges)
    await waiting
    await until(lambda: not carriage.exchanges)
    assert (carriage.detached, carriage._expiry) == (False, None)
    await socket.send(Connect(1, 0, echo_server.port, 0, echo_server.host), number=1)
    await numbered(socket)


@every_loop
async def test_a_session_ends_when_neither_carries_it():
    async with running_proxy(grace=0.2) as proxy, Exchanges(proxy.url, TOKEN) as exchanges:
        socket = await attached(proxy, exchanges)
        waiting = await held(proxy, exchanges)
        socket.cut()
        await exchanges.make()  # ends the one that waits
        await waiting
        await until(lambda: len(proxy.sessions) == 0)
        with pytest.raises(RefusedError):
            await exchanges.make()


@every_loop
async def test_an_exchange_can_end_the_session_of_a_websocket(proxy, socket, exchanges):
    await exchanges.make(GOODBYE)
    with pytest.raises(ConnectionClosed) as caught:
        await socket.next_message()
    assert caught.value.rcvd
    assert caught.value.rcvd.code == 1001
    assert len(proxy.sessions) == 0


@every_loop
async def test_a_websocket_can_end_a_session_of_which_an_exchange_is_held_back(proxy, socket, exchanges):
    waiting = await held(proxy, exchanges)
    await socket.send(Goaway(0, "shutdown", ""))
    assert (await waiting).frames[-1] == (0, Goaway(0, "shutdown", "the session has ended"))


async def test_an_exchange_that_breaks_the_protocol_tells_the_websocket(proxy, socket, exchanges):
    assert (await exchanges.make(message(Data(1, b"")))).status == 400
    ((_, goaway),) = await socket.receive()
    assert isinstance(goaway, Goaway)
    assert (goaway.code, goaway.message) == ("protocol", "Data in a message without a number")
    assert len(proxy.sessions) == 0


async def test_a_websocket_that_breaks_the_protocol_tells_an_exchange_that_is_held_back(
    proxy, socket, exchanges
):
    waiting = await held(proxy, exchanges)
    await socket.send(Data(1, b""))
    answer = await waiting
    assert answer.status == 200
    assert answer.frames[-1] == (0, Goaway(0, "protocol", "Data in a message without a number"))


# ── A page that is done, or gone ──────────────────────────────────────────────────────────────────────────


@every_loop
@pytest.mark.parametrize("code", [1000, 1001])
async def test_a_page_that_is_done_or_left_ends_its_session_by_closing_its_websocket(
    proxy, socket, exchanges, echo_server, code
):
    await exchanges.make(connecting(echo_server), wait=5)
    await socket.socket.close(code)
    await until(lambda: len(proxy.sessions) == 0)
    assert proxy.sessions.sockets == 0


@every_loop
@pytest.mark.parametrize("code", [1002, 1011, 3000, 4000])
async def test_a_websocket_that_is_closed_otherwise_leaves_the_session_as_it_is(
    socket, exchanges, echo_server, code
):
    await exchanges.make(connecting(echo_server, b"hello"), wait=5)
    await socket.socket.close(code)
    assert await exchanges.received(5) == b"hello"


async def test_the_close_of_a_websocket_that_was_replaced_ends_nothing(proxy, socket, exchanges, echo_server):
    await exchanges.make(connecting(echo_server, b"hello"), wait=5)
    newer = await attached(proxy, exchanges)
    await socket.socket.close(1000)
    await newer.send(Ping(0, 1))
    assert (0, Pong(0, 1)) in await newer.receive() + await newer.receive()
    assert proxy.sessions.sockets == 1
