from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import aiohttp
import pytest

from pynet_browser.frames import Data, Goaway, Ping, Pong, Refused, Stream, Unstream, Welcome
from pynet_browser.wire import Message, MessageReader, frames_of
from tests.proxy.carrier import hello
from tests.proxy.client import Page
from tests.proxy.exchanges import Exchanges, connecting, message
from tests.proxy.running import EVERY_LOOP, TOKEN
from tests.proxy.test_carriage import attached, data_on, echoed, numbered

every_loop = pytest.mark.asyncio(loop_factories=EVERY_LOOP)


class Streaming:
    """One streaming answer, read message by message."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self._messages = self._read()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, exchanges: Exchanges, number: int) -> AsyncIterator[Streaming]:
        """Ask for a stream of the session that ``exchanges`` names."""
        greeting = hello(TOKEN, session=exchanges.name, key=exchanges.key, seen=exchanges.seen)
        body = message(greeting, Stream(0, number))
        async with exchanges.client.post(exchanges.url, data=body) as response:
            yield cls(response)

    async def next(self) -> Message:
        """The next message that does more than acknowledge."""
        while not (found := await anext(self._messages)).body:
            pass
        return found

    async def welcomed(self) -> Welcome:
        """Read the message that it begins with."""
        (welcome,) = frames_of((await self.next()).body)
        assert isinstance(welcome, Welcome)
        return welcome

    async def rest(self) -> list[Message]:
        """What still comes until it ends as it should."""
        return [each async for each in self]

    def __aiter__(self) -> AsyncIterator[Message]:
        return self._messages

    async def _read(self) -> AsyncIterator[Message]:
        reader = MessageReader()
        async for piece in self.response.content.iter_any():
            for each in reader.feed(piece):
                yield each
        assert not reader.held


def data_of(*messages: Message) -> bytes:
    """What sockets were sent."""
    frames = (frame for each in messages for frame in frames_of(each.body))
    return b"".join(frame.data for frame in frames if isinstance(frame, Data))


@pytest.fixture
async def socket(proxy, exchanges, echo_server):
    """A WebSocket whose session has a socket that is connected to an echo; the page has sent one message."""
    socket = await attached(proxy, exchanges)
    await socket.send_bytes(connecting(echo_server))
    exchanges.seen, _ = await numbered(socket)
    return socket


@every_loop
async def test_a_stream_brings_messages_while_the_websocket_takes_them_along(socket, exchanges):
    async with Streaming.open(exchanges, 1) as stream:
        assert stream.response.status == 200
        assert stream.response.content_type == "text/plain"
        assert stream.response.headers["Cache-Control"] == "no-store, no-transform"
        welcome = await stream.welcomed()
        assert (welcome.session, welcome.seen) == (exchanges.name, 1)
        for number in range(2, 5):
            await socket.send(Data(1, b"hello"), number=number, ack=exchanges.seen)
            each = await stream.next()
            exchanges.seen += 1
            assert (each.number, each.ack, data_of(each)) == (exchanges.seen, number, b"hello")
        await socket.send(Ping(0, 7))
        assert await socket.receive() == [(0, Pong(0, 7))]


@every_loop
async def test_a_stream_that_is_not_wanted_any_more_ends_with_what_it_was_given(socket, exchanges):
    async with Streaming.open(exchanges, 1) as stream:
        await stream.welcomed()
        await socket.send(Data(1, b"streamed"), number=2, ack=exchanges.seen)
        each = await stream.next()
        await socket.send(Unstream(0, 1, 0), ack=each.number)
        await socket.send(Data(1, b"on the WebSocket"), number=3, ack=each.number)
        assert await data_on(socket, 16, least=each.number) == b"on the WebSocket"
        assert await stream.rest() == []


@every_loop
async def test_what_a_stream_has_lost_is_sent_again_on_the_websocket(socket, exchanges):
    async with Streaming.open(exchanges, 1) as stream:
        await stream.welcomed()
        await socket.send(Data(1, b"lost"), number=2, ack=exchanges.seen)
        await stream.next()
        await socket.send(Unstream(0, 1, 1), ack=exchanges.seen)
        assert await numbered(socket) == (exchanges.seen + 1, [Data(1, b"lost")])


@every_loop
async def test_a_stream_that_breaks_leaves_its_messages_to_the_websocket(socket, exchanges):
    async with Streaming.open(exchanges, 1) as stream:
        await stream.welcomed()
        await socket.send(Data(1, b"1"), number=2, ack=exchanges.seen)
        await stream.next()
    for number in range(3, 100):  # the first may be written before the end is noticed
        await socket.send(Data(1, b"2"), number=number, ack=exchanges.seen)
        await asyncio.sleep(0.01)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                assert await numbered(socket) == (exchanges.seen + 1, [Data(1, b"1")])
                return
    raise AssertionError("nothing came on the WebSocket")


@every_loop
async def test_a_newer_stream_takes_the_place_of_one(socket, exchanges):
    async with Streaming.open(exchanges, 1) as first, Streaming.open(exchanges, 2) as second:
        await first.welcomed()
        await second.welcomed()
        assert await first.rest() == []
        await socket.send(Unstream(0, 1, 0))  # too late to mean anything
        await socket.send(Data(1, b"x"), number=2, ack=exchanges.seen)
        assert data_of(await second.next()) == b"x"


@every_loop
async def test_a_websocket_that_attaches_ends_a_stream_and_takes_the_messages(proxy, socket, exchanges):
    async with Streaming.open(exchanges, 1) as stream:
        await stream.welcomed()
        newer = await attached(proxy, exchanges)
        assert await stream.rest() == []
        await newer.send(Data(1, b"x"), number=2, ack=exchanges.seen)
        assert await data_on(newer, 1) == b"x"


@every_loop
async def test_a_stream_ends_with_the_websocket_beside_it(proxy, socket, exchanges):
    (session,) = proxy.sessions
    async with Streaming.open(exchanges, 1) as stream:
        await stream.welcomed()
        socket.cut()
        assert await stream.rest() == []
        assert not session.carriage.over


@every_loop
async def test_the_end_of_a_session_ends_its_stream(proxy, socket, exchanges):
    async with Streaming.open(exchanges, 1) as stream:
        await stream.welcomed()
        await socket.send(Goaway(0, "shutdown", "the page is done"))
        assert await stream.rest() == []
        assert not len(proxy.sessions)


async def refusal(exchanges: Exchanges, number: int) -> tuple[int, str]:
    """With which status and code a stream is refused."""
    async with Streaming.open(exchanges, number) as stream:
        (refused,) = frames_of((await stream.next()).body)
        assert isinstance(refused, Refused)
        return stream.response.status, refused.code


@every_loop
async def test_a_stream_that_comes_late_is_refused(socket, exchanges):
    await socket.send(Unstream(0, 3, 1))
    await socket.send(Ping(0, 7))
    while (0, Pong(0, 7)) not in await socket.receive():
        pass
    assert await refusal(exchanges, 3) == (403, "busy")
    async with Streaming.open(exchanges, 4) as stream:
        await stream.welcomed()


@every_loop
async def test_a_stream_without_a_websocket_or_a_session_is_refused(proxy, exchanges):
    assert await refusal(exchanges, 1) == (403, "session")
    assert not len(proxy.sessions)
    await exchanges.make()
    assert await refusal(exchanges, 1) == (403, "busy")


@every_loop
async def test_an_exchange_beside_a_stream_takes_the_messages_and_the_stream_goes_on(socket, exchanges):
    async with Streaming.open(exchanges, 1) as stream:
        await stream.welcomed()
        answer = await exchanges.make(message(Data(1, b"asked"), number=2), wait=5)
        while not exchanges.data:
            answer = await exchanges.make(wait=5)
        assert answer.numbers == [exchanges.seen]
        assert exchanges.data == b"asked"
        await socket.send(Data(1, b"told"), number=3, ack=exchanges.seen)
        while data_of(each := await stream.next()) != b"told":
            assert each.number <= exchanges.seen
        assert each.number == exchanges.seen + 1


@every_loop
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_moves_between_carriers_in_the_middle_of_transfers_lose_and_repeat_nothing(
    proxy, echo_server, seed
):
    chance = random.Random(seed)
    async with proxy.page() as page, Exchanges(proxy.url, TOKEN) as exchanges:
        exchanges.name, exchanges.key = page.name, page.key
        transfers = [asyncio.create_task(echoed(page, echo_server, number)) for number in range(4)]
        number = brought = 0
        streams: list[asyncio.Task[int]] = []
        while not all(transfer.done() for transfer in transfers):
            number += 1
            exchanges.seen = page.link.received
            streams.append(asyncio.create_task(taken_in(page, exchanges, number)))
            await asyncio.sleep(chance.uniform(0, 0.01))
            if chance.random() < 0.3:
                streams[-1].cancel()
                await page.carrier.send(Unstream(0, number, 1), ack=page.link.received)
            else:
                await page.carrier.send(Unstream(0, number, 0), ack=page.link.received)
            await asyncio.sleep(chance.uniform(0, 0.005))
            if chance.random() < 0.1:
                page.cut()
                await page.lost()
                await page.open()
        assert all([await transfer for transfer in transfers])
        for stream in streams:
            with contextlib.suppress(asyncio.CancelledError):
                brought += await stream
        assert number > 5
        assert brought > 5


async def taken_in(page: Page, exchanges: Exchanges, number: int) -> int:
    """Take in what a stream brings; tells how many messages that are numbered."""
    brought = 0
    with contextlib.suppress(aiohttp.ClientError):
        async with Streaming.open(exchanges, number) as stream:
            if stream.response.status == 200:
                page.acknowledged((await stream.welcomed()).seen)
                async for each in stream:
                    page.take_in(each)
                    brought += bool(each.number)
    return brought
