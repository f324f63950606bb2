from __future__ import annotations

import asyncio
import gc
import weakref

import aiohttp
import pytest
from websockets import ConnectionClosed

from pynet_browser.fields import Address
from pynet_browser.frames import (
    Connect,
    Data,
    Frame,
    Goaway,
    Ping,
    Pong,
    Refused,
    Resolve,
    Shutdown,
    Unknown,
    Window,
)
from pynet_browser.link import ACK_DELAY, REPLAY_LIMIT
from pynet_browser.proxy.config import Limits
from pynet_browser.proxy.secured import TlsSocket
from pynet_browser.proxy.session import Session
from pynet_browser.proxy.tcp import READ_MAX
from pynet_browser.window import WINDOW_INITIAL
from pynet_browser.wire import MESSAGE_HEADER, encode_frame, encode_message, frames_of
from tests.peers import Source, pattern
from tests.proxy.carrier import Carrier, RefusedError, hello
from tests.proxy.client import Page, SessionOverError
from tests.proxy.hosts import Witness
from tests.proxy.running import EVERY_LOOP, TOKEN, Stopwatch, running_proxy, standstill, until
from tests.servers import ProxyProcess

every_loop = pytest.mark.asyncio(loop_factories=EVERY_LOOP)


async def refusal(page: Page) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        await page.open()
    return caught.value


async def closing(carrier: Carrier) -> tuple[int, str]:
    """Code and reason with which the proxy closes, whatever it sends before."""
    with pytest.raises(ConnectionClosed) as caught:  # noqa: PT012 - until it comes
        while True:
            await carrier.next_message()
    assert caught.value.rcvd
    return caught.value.rcvd.code, caught.value.rcvd.reason


async def welcomed(proxy, **greeting) -> Carrier:
    carrier = await Carrier.open(proxy.url)
    await carrier.greet(hello(TOKEN, **greeting))
    return carrier


# ── Who is let in ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("token", "message"), [("", "the proxy wants a token"), ("wrong", "the token is not this proxy's")]
)
async def test_a_page_without_the_token_is_refused(proxy, token, message):
    error = await refusal(Page(proxy.url, token))
    assert error.code == "token"
    assert message in error.message


async def test_a_page_of_another_origin_is_refused_and_told_how_to_be_let_in(proxy):
    error = await refusal(Page(proxy.url, TOKEN, origin="https://elsewhere.example"))
    assert error.code == "origin"
    assert error.message.endswith("start it with --origin https://elsewhere.example")


async def test_pages_of_the_proxy_and_of_listed_origins_are_let_in():
    async with running_proxy(origins=("https://elsewhere.example",)) as proxy:
        for origin in (f"http://127.0.0.1:{proxy.address[1]}", "https://elsewhere.example"):
            async with proxy.page(origin=origin):
                pass


async def test_a_request_for_another_host_gets_no_websocket(proxy):
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client.ws_connect(proxy.url, headers={"Host": "rebound.example"})
    assert caught.value.status == 421


async def test_another_version_is_refused(proxy):
    carrier = await Carrier.open(proxy.url)
    with pytest.raises(
        RefusedError, match="the page speaks version 2 of the protocol and the proxy version 1"
    ):
        await carrier.greet(hello(TOKEN, version=2))


async def test_a_refused_carrier_is_closed(proxy):
    carrier = await Carrier.open(proxy.url)
    await carrier.send(hello("wrong"))
    assert [type(frame) for _, frame in await carrier.receive()] == [Refused]
    code, reason = await closing(carrier)
    assert (code, reason[:9]) == (4403, "the token")


@pytest.mark.parametrize(
    "first",
    [
        pytest.param("hello", id="text"),
        pytest.param(b"", id="nothing"),
        pytest.param(encode_message(0, 0, [encode_frame(Ping(0, 1))]), id="another frame"),
        pytest.param(encode_message(1, 0, [encode_frame(hello(TOKEN))]), id="numbered"),
        pytest.param(encode_message(0, 0, [encode_frame(hello(TOKEN)), encode_frame(Ping(0, 1))]), id="more"),
        pytest.param(encode_message(0, 0, [encode_frame(hello(TOKEN))]) * 2, id="twice"),
        pytest.param(encode_message(0, 0, [encode_frame(hello(TOKEN))])[:-1], id="cut short"),
        pytest.param(encode_message(0, 0, [encode_frame(hello("t" * 4096))]), id="too long"),
        pytest.param(bytes(range(256)), id="noise"),
    ],
)
async def test_a_carrier_that_does_not_begin_with_a_greeting_is_closed(proxy, first):
    carrier = await Carrier.open(proxy.url)
    await carrier.socket.send(first)
    code, reason = await closing(carrier)
    assert code == 4400
    assert reason
    assert len(proxy.sessions) == 0


async def test_a_carrier_that_does_not_greet_in_time_is_closed():
    async with running_proxy(auth_timeout=0.1) as proxy:
        carrier = await Carrier.open(proxy.url)
        assert await closing(carrier) == (4400, "no greeting within 0.1 s")


async def test_only_so_many_carriers_may_be_about_to_greet():
    async with running_proxy(Limits(unauthenticated=2)) as proxy:
        waiting = [await Carrier.open(proxy.url) for _ in range(2)]
        third = await Carrier.open(proxy.url)
        assert [frame.code for _, frame in await third.receive() if isinstance(frame, Refused)] == ["busy"]
        await waiting[0].greet(hello(TOKEN))
        async with proxy.page():
            pass
        for carrier in (*waiting, third):
            await carrier.socket.close()
        # The one that greeted has lost its carrier, and may come back; the test does not wait for that.


async def test_only_so_many_sessions_may_exist():
    async with running_proxy(Limits(sessions=1)) as proxy:
        async with proxy.page():
            error = await refusal(proxy.page())
            assert error.code == "busy"
            assert error.message.endswith("(limits.sessions)")
        await until(lambda: len(proxy.sessions) == 0)
        async with proxy.page():
            pass


async def test_neither_tokens_nor_keys_are_logged(echo_server):
    with ProxyProcess("--verbose", "--no-demo") as proxy:
        announced = proxy.log()
        async with Page(proxy.ws_url, proxy.token) as page:
            socket = page.connect(*echo_server.address)
            await socket.connected()
            page.cut()
            await page.lost()
            await page.open()
            assert (await refusal(Page(proxy.ws_url, "not-the-token"))).code == "token"
        await until(lambda: "event=connect decision=allowed" in proxy.log())
        log = proxy.log().removeprefix(announced)
    assert proxy.token not in log
    assert "not-the-token" not in log
    assert page.key not in log


# ── Acknowledgements ──────────────────────────────────────────────────────────────────────────────────────


async def acknowledged(carrier: Carrier, number: int) -> None:
    """Until the proxy has acknowledged a message, which it does in time."""
    watch = Stopwatch()
    async with asyncio.timeout(5):
        while (await carrier.next_message()).ack < number:
            pass
    watch.stop(0, ACK_DELAY + 0.4)


@every_loop
async def test_a_message_that_is_not_answered_is_acknowledged_in_time(proxy):
    carrier = await welcomed(proxy)
    await carrier.send(Shutdown(99), number=1)
    await acknowledged(carrier, 1)
    await carrier.send(Goaway(0, "shutdown", ""))


@every_loop
async def test_a_message_soon_after_an_answered_one_is_acknowledged_in_time(proxy):
    carrier = await welcomed(proxy)
    for number in range(1, 9, 2):
        await carrier.send_bytes(encode_message(number, 0, [b"\x7f\0\0\0\0\x01\0\0\0\0"]))  # kind 0x7f
        await carrier.receive()
        await asyncio.sleep(ACK_DELAY / 2)  # the next falls into the time that the last one had
        await carrier.send(Shutdown(99), number=number + 1)
        await acknowledged(carrier, number + 1)
    await carrier.send(Goaway(0, "shutdown", ""))


async def test_a_message_that_was_seen_before_is_acknowledged_again(proxy):
    carrier = await welcomed(proxy)
    for _ in range(2):
        await carrier.send(Shutdown(99), number=1)
        await acknowledged(carrier, 1)
    await carrier.send(Goaway(0, "shutdown", ""))


async def test_an_eighth_of_what_the_page_keeps_is_acknowledged_at_once(proxy, monkeypatch):
    monkeypatch.setattr("pynet_browser.link.ACK_DELAY", 60)
    carrier = await welcomed(proxy, replay=80_000)
    await carrier.send(Data(99, pattern(10_000)), number=1)
    await acknowledged(carrier, 1)
    await carrier.send(Goaway(0, "shutdown", ""))


async def test_the_proxy_stops_when_a_page_does_not_acknowledge(proxy):
    with Source(64 << 20) as peer:
        carrier = await welcomed(proxy, window=1 << 30)
        await carrier.send(Connect(1, 0, peer.port, 0, peer.host), number=1)
        came, last = 0, 0
        while came < REPLAY_LIMIT:
            message = await carrier.next_message()
            came, last = came + MESSAGE_HEADER.size + len(message.body), max(last, message.number)
        assert came == proxy.sessions.buffered < REPLAY_LIMIT + READ_MAX + 1000
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(carrier.next_message(), 0.3)
        await carrier.send(ack=last)
        await carrier.receive()
        await carrier.send(Goaway(0, "shutdown", ""))
        await until(lambda: proxy.sessions.buffered == 0)


async def test_a_page_that_asks_and_asks_but_does_not_acknowledge_is_sent_away():
    async with running_proxy(Limits(sockets_per_session=1)) as proxy:
        carrier = await welcomed(proxy)
        sending = asyncio.create_task(connect_again_and_again(carrier))
        message = await carrier.next_message()
        while message.number or not message.body:
            assert proxy.sessions.buffered < REPLAY_LIMIT + (4 << 20)
            message = await carrier.next_message()
        [goaway] = frames_of(message.body)
        assert goaway == Goaway(
            0, "protocol", "the page has more and more answered, and acknowledges nothing"
        )
        sending.cancel()


async def connect_again_and_again(carrier: Carrier) -> None:
    for number in range(1, 1000):
        frames = [encode_frame(Connect(number * 10_000 + id_, 0, 9, 0, "")) for id_ in range(1, 4000, 2)]
        await carrier.send_bytes(encode_message(number, 0, frames))
        await asyncio.sleep(0)


# ── Windows ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_socket_that_the_page_does_not_read_stalls_only_itself(proxy, page, echo_server):
    with Source(32 << 20) as peer:
        unread = page.connect(*peer.address)
        await until(lambda: unread.waiting == WINDOW_INITIAL)
        socket = page.connect(*echo_server.address)
        for _ in range(8):
            await socket.send(pattern(1 << 20))
            assert len(await socket.read(1 << 20)) == 1 << 20
        await until(lambda: proxy.sessions.buffered < 1000)
        assert unread.waiting == WINDOW_INITIAL


async def test_a_host_that_does_not_read_stops_the_page_at_its_window(proxy, page, echo_server):
    with Witness(receive_buffer=4096) as peer:
        peer.may_read.clear()
        stuck = page.connect(*peer.address)
        sending = asyncio.create_task(stuck.send(pattern(32 << 20)))
        await until(lambda: stuck.addresses and not stuck.credit)
        socket = page.connect(*echo_server.address)
        for _ in range(8):
            await socket.send(pattern(1 << 20))
            assert len(await socket.read(1 << 20)) == 1 << 20
        assert not stuck.credit
        # The window has grown while the kernel took what the host did not.
        await until(lambda: WINDOW_INITIAL / 2 < proxy.sessions.buffered < 8 << 20)
        sending.cancel()


async def test_a_fast_host_lets_the_window_of_its_socket_grow(page, hash_server):
    socket = page.connect(*hash_server.address)
    largest = 0
    for offset in range(0, 32 << 20, 1 << 20):
        await socket.send(pattern(1 << 20, offset))
        largest = max(largest, socket.credit)
    assert largest > 2 * WINDOW_INITIAL


async def test_a_page_that_exceeds_its_window_is_sent_away(proxy):
    with Witness() as peer:
        peer.may_read.clear()
        carrier = await welcomed(proxy)
        await carrier.send(
            Connect(1, 0, peer.port, 0, peer.host),
            Data(1, bytes(WINDOW_INITIAL)),
            Data(1, b"!"),
            number=1,
        )
        [(_, frame)] = await carrier.receive()
        assert isinstance(frame, Goaway)
        assert (frame.code, frame.message) == ("protocol", "1 bytes came in a window of 0")
        assert await closing(carrier) == (4400, frame.message)
        assert len(proxy.sessions) == 0


async def test_no_more_is_read_from_a_host_than_the_page_has_room_for(proxy, silent_server):
    async with proxy.page(window=10_000) as page:
        await page.connect(*silent_server.address).connected()
        gc.collect()
        sockets = [each for each in gc.get_objects() if type(each) is TlsSocket]
        assert [len(each.get_buffer(-1)) for each in sockets] == [10_000]


async def test_credit_granted_little_by_little_is_used_up_and_never_exceeded(proxy):
    with Source(1 << 20) as peer:
        carrier = await welcomed(proxy, window=0)
        await carrier.send(Connect(1, 0, peer.port, 0, peer.host), number=1)
        await carrier.receive()
        came = b""
        for number in range(2, 50):
            await carrier.send(Window(1, number * 100), number=number, ack=number - 1)
            piece = b""
            while len(piece) < number * 100:
                [(_, frame)] = await carrier.receive()
                assert isinstance(frame, Data)
                piece += frame.data
            assert len(piece) == number * 100
            came += piece
        assert came == pattern(len(came))
        await carrier.send(Goaway(0, "shutdown", ""))


# ── About the carrier ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_ping_is_answered_with_its_stamp(proxy):
    carrier = await welcomed(proxy)
    await carrier.send(Ping(0, 1234567890123))
    assert await carrier.receive() == [(0, Pong(0, 1234567890123))]
    await carrier.send(Goaway(0, "shutdown", ""))


async def test_a_kind_that_is_not_known_is_answered_as_it_came(proxy):
    carrier = await welcomed(proxy)
    frame = b"\x7f\0\0\0\0\x05\0\0\0\x02hi"
    await carrier.send_bytes(encode_message(0, 0, [frame]))
    assert await carrier.receive() == [(0, Unknown(5, 0x7F))]
    await carrier.send_bytes(encode_message(1, 0, [frame]))
    assert await carrier.receive() == [(1, Unknown(5, 0x7F))]
    await carrier.send(Unknown(5, 0x7F), number=2)  # is not answered
    await carrier.send(Ping(0, 1))
    assert await carrier.receive() == [(0, Pong(0, 1))]
    await carrier.send(Goaway(0, "shutdown", ""))


async def test_messages_may_be_cut_anywhere(proxy, echo_server):
    carrier = await welcomed(proxy)
    messages = b"".join(
        [
            encode_message(1, 0, [encode_frame(Connect(1, 0, echo_server.port, 0, "127.0.0.1"))]),
            encode_message(2, 0, [encode_frame(Data(1, b"hello"))]),
        ]
    )
    for byte in messages:
        await carrier.send_bytes(bytes([byte]))
    frame: Frame = Ping(0, 0)
    while not isinstance(frame, Data):
        _, frame = (await carrier.receive())[-1]
    assert frame.data == b"hello"
    await carrier.send(Goaway(0, "shutdown", ""))


# ── The end ───────────────────────────────────────────────────────────────────────────────────────────────


@every_loop
async def test_a_page_that_leaves_takes_its_connections_along(proxy):
    with Witness() as peer:
        async with proxy.page() as page:
            await page.connect(*peer.address).connected()
        await until(peer.over.is_set)
        assert proxy.sessions.sockets == len(proxy.sessions) == 0
    assert peer.ending == "FIN"


@every_loop
async def test_a_page_that_leaves_in_the_middle_of_a_send_resets_the_connection(proxy):
    with Witness(receive_buffer=4096) as peer:
        peer.may_read.clear()
        async with proxy.page() as page:
            socket = page.connect(*peer.address)
            sending = asyncio.create_task(socket.send(pattern(32 << 20)))
            await socket.connected()
            await standstill(lambda: socket.credit)  # the kernel is full, and the rest is held here
            assert proxy.sessions.buffered > 0
        peer.may_read.set()
        await until(peer.over.is_set)
        with pytest.raises(SessionOverError):
            await sending
    assert peer.ending == "RST"


async def test_a_mistake_of_the_proxy_ends_the_session_it_happened_in_and_no_other(
    proxy, monkeypatch, caplog
):
    def fail(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setitem(Session._HANDLERS, Resolve, fail)
    async with proxy.page() as other, proxy.page() as page:
        with pytest.raises(SessionOverError, match="internal: the proxy failed; its log says more"):
            await page.resolve("localhost")
        await other.reverse(Address(4, "127.0.0.1", 80))
    assert "RuntimeError: a mistake" in caplog.text


async def test_every_page_is_told_when_the_proxy_stops(echo_server):
    async with running_proxy(shutdown_timeout=10) as proxy:
        pages = [proxy.page() for _ in range(5)]
        for page in pages:
            await page.open()
            await page.connect(*echo_server.address).connected()
        watch = Stopwatch()
        await proxy.stop()
        watch.stop(0, 5)
        for page in pages:
            await page.lost()
            assert page.over
            assert (page.over.code, page.over.message) == ("shutdown", "the proxy was stopped")
            await page.close()


async def test_a_page_that_does_not_listen_does_not_keep_the_proxy_from_stopping():
    with Source(64 << 20) as peer:
        async with running_proxy() as proxy:
            carrier = await welcomed(proxy, window=1 << 30)
            await carrier.send(Connect(1, 0, peer.port, 0, peer.host), number=1)
            carrier.socket.transport.pause_reading()
            await until(lambda: proxy.sessions.buffered > 1 << 20)
            watch = Stopwatch()
            await proxy.stop()
            watch.stop(0, 4)
            carrier.cut()


@every_loop
async def test_nothing_remembers_a_session_that_has_ended(proxy, echo_server):
    with Witness(receive_buffer=4096) as peer:
        peer.may_read.clear()
        async with proxy.page() as page:
            await page.connect(*echo_server.address).connected()  # owes an acknowledgement
            lingering = page.connect(*peer.address)
            sending = asyncio.create_task(lingering.send(pattern(32 << 20)))
            await until(lambda: not lingering.credit and proxy.sessions.buffered >= WINDOW_INITIAL)
            sending.cancel()
            lingering.close()
            page.cut()  # begins the grace period
            await page.lost()
            await page.open()
            sessions = [each for each in gc.get_objects() if type(each) is Session]
            [session] = [weakref.ref(each) for each in sessions if each.name == page.name]
            del sessions
            assert session() is not None
        await until(lambda: (gc.collect() and False) or session() is None)
