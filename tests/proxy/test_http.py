from __future__ import annotations

import gzip

import pytest

from pynet_browser.frames import Connect, Data, Goaway, Hello, Ping, Poll, Refused, Welcome, Window
from pynet_browser.proxy.carriers import http
from pynet_browser.proxy.config import Limits
from pynet_browser.wire import MESSAGE_HEADER, MESSAGE_MAX, encode_message
from tests.proxy.carrier import RefusedError, hello
from tests.proxy.exchanges import ANSWER_MAX, GOODBYE, Exchanges, Request, connecting, message
from tests.proxy.running import EVERY_LOOP, TOKEN, running_proxy, until

every_loop = pytest.mark.asyncio(loop_factories=EVERY_LOOP)

GREETING = message(hello(TOKEN), Poll(0, 0, ANSWER_MAX))


# ── Greeting ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_exchange_begins_a_session(proxy, exchanges):
    answer = await exchanges.make(limit=0)
    assert answer.status == 200
    assert [type(frame) for _, frame in answer.frames] == [Welcome]
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.welcome.session
    assert (await exchanges.make(limit=0)).welcome == answer.welcome
    assert len(proxy.sessions) == 1


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_an_exchange_without_the_token_is_refused(proxy, token):
    async with Exchanges(proxy.url, token) as exchanges:
        with pytest.raises(RefusedError) as caught:
            await exchanges.make()
    assert caught.value.code == "token"
    assert len(proxy.sessions) == 0


async def test_the_wrong_key_opens_no_session_and_ends_none(exchanges):
    await exchanges.make(limit=0)
    key, exchanges.key = exchanges.key, "wrong"
    with pytest.raises(RefusedError, match="the proxy no longer knows this session"):
        await exchanges.make()
    exchanges.key = key
    await exchanges.make(limit=0)


async def test_another_version_is_refused(proxy):
    async with Exchanges(proxy.url, TOKEN, version=2) as exchanges:
        with pytest.raises(RefusedError, match="the page speaks version 2"):
            await exchanges.make()


async def test_a_exchanges_that_claims_to_have_seen_what_was_never_sent_loses_its_session(proxy, exchanges):
    await exchanges.make(limit=0)
    exchanges.seen = 1000
    with pytest.raises(RefusedError, match="the session cannot be resumed"):
        await exchanges.make()
    assert len(proxy.sessions) == 0


async def test_only_so_many_sessions_may_exist():
    async with (
        running_proxy(Limits(sessions=1)) as proxy,
        proxy.page(),
        Exchanges(proxy.url, TOKEN) as exchanges,
    ):
        with pytest.raises(RefusedError) as caught:
            await exchanges.make()
        assert caught.value.code == "busy"


# ── Pages of other origins ────────────────────────────────────────────────────────────────────────────────


async def test_pages_of_the_proxy_and_of_listed_origins_may_read_answers():
    async with running_proxy(origins=("https://elsewhere.example",)) as proxy:
        for origin in (f"http://127.0.0.1:{proxy.address[1]}", "https://elsewhere.example"):
            async with Exchanges(proxy.url, TOKEN, origin=origin) as exchanges:
                answer = await exchanges.make(limit=0)
                assert answer.headers["Access-Control-Allow-Origin"] == origin
                assert answer.headers["Vary"] == "Origin"
                await exchanges.make(GOODBYE)


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://127.0.0.1:1"])
async def test_pages_of_other_origins_are_refused_and_may_read_nothing(proxy, origin):
    async with Exchanges(proxy.url, TOKEN, origin=origin) as exchanges:
        answer = await exchanges.post(exchanges.greeting())
    assert answer.status == 403
    assert [frame.code for _, frame in answer.frames if isinstance(frame, Refused)] == ["origin"]
    assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert len(proxy.sessions) == 0


async def test_a_request_for_another_host_is_no_exchange(proxy, exchanges):
    headers = {"Host": "rebound.example"}
    async with exchanges.client.post(exchanges.url, data=GREETING, headers=headers) as response:
        assert response.status == 421
    assert len(proxy.sessions) == 0


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PUT"])
async def test_nothing_but_post_is_an_exchange(proxy, method):
    async with Exchanges(proxy.url, TOKEN) as exchanges:
        response = await exchanges.client.request(method, exchanges.url, data=GREETING)
        assert response.status == 405
    assert len(proxy.sessions) == 0


# ── Bodies ────────────────────────────────────────────────────────────────────────────────────────────────

HELLO = hello(TOKEN)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        GREETING[:10],
        GREETING[:-1],
        message(HELLO),
        message(HELLO) + message(Poll(0, 0, 0)),
        message(Poll(0, 0, 0), HELLO),
        message(HELLO, Poll(0, 0, 0), Ping(0, 1)),
        message(HELLO, Poll(0, 0, 0), number=1),
        message(Ping(0, 1)),
        message(),
        message(Hello(0, 1, "x" * 4096, "", "", 0, 1, 1, (), ""), Poll(0, 0, 0)),
        encode_message(0, 0, [GREETING[20:], b"\0"]),
        b"\xff" * 20,
    ],
    ids=[
        "nothing", "another protocol", "part of a header", "part of a greeting", "no poll", "poll apart",
        "poll first", "more than a greeting", "numbered", "no hello", "no frames", "too long", "half a frame",
        "too large a number",
    ],
)  # fmt: skip
async def test_a_request_that_does_not_begin_with_a_greeting_breaks_the_protocol(proxy, exchanges, body):
    answer = await exchanges.post(body)
    assert answer.status == 400
    ((number, goaway),) = answer.frames
    assert isinstance(goaway, Goaway)
    assert (number, goaway.code) == (0, "protocol")
    assert len(proxy.sessions) == 0


async def test_a_request_whose_greeting_does_not_come_in_time_is_answered():
    async with running_proxy(auth_timeout=0.1) as proxy:
        request = await Request.begun(proxy.address, 100)
        request.writer.write(GREETING[:30])
        assert await request.status() == 400
        request.cut()


async def test_only_so_many_requests_may_be_about_to_greet():
    async with running_proxy(Limits(unauthenticated=2)) as proxy:
        waiting = [await Request.begun(proxy.address, len(GREETING)) for _ in range(2)]
        await until(lambda: proxy.sessions._unauthenticated == 2)
        async with Exchanges(proxy.url, TOKEN) as exchanges:
            with pytest.raises(RefusedError) as caught:
                await exchanges.make()
            assert caught.value.code == "busy"
            waiting[0].writer.write(GREETING)
            assert await waiting[0].status() == 200
            await exchanges.make()
            await exchanges.make(GOODBYE)
        for request in waiting:
            request.cut()
        await until(lambda: proxy.sessions._unauthenticated == 0)


@pytest.mark.parametrize(
    "behind",
    [
        message(Data(1, b"x")),
        message(Connect(1, 0, 80, 0, "127.0.0.1")),
        message(HELLO),
        message(Poll(0, 0, 0)),
        message(Data(2, b"x"), number=1)[:-1],
        message(Window(1, 1), number=1)[:15],
        message(Goaway(0, "shutdown", ""), number=1),
        message(number=40_000),
        message(ack=1),
        message(Connect(2, 0, 80, 0, "127.0.0.1"), number=1),
        b"\xff" * 100,
    ],
    ids=[
        "data", "connect", "hello", "poll", "part of a message", "part of a header", "a numbered goaway",
        "far ahead", "never sent", "no id of a page", "garbage",
    ],
)  # fmt: skip
async def test_messages_that_break_the_protocol_end_their_session_and_no_other(
    proxy, exchanges, echo_server, behind
):
    async with proxy.page() as bystander:
        socket = bystander.connect(*echo_server.address)
        await exchanges.make(limit=0)
        answer = await exchanges.make(behind)
        assert answer.status == 400
        assert [frame.code for _, frame in answer.frames if isinstance(frame, Goaway)] == ["protocol"]
        with pytest.raises(RefusedError) as caught:
            await exchanges.make()
        assert caught.value.code == "session"
        await socket.send(b"hello")
        assert await socket.recv() == b"hello"


async def test_a_request_may_hold_a_mebibyte_and_one_largest_message(proxy, exchanges):
    largest = message(Data(99, bytes(MESSAGE_MAX - 10)), number=1)
    filling = message(Data(99, bytes(http.BODY_MAX - len(message(Data(99, b""))))), number=2)
    answer = await exchanges.make(largest, filling, limit=0)
    assert answer.welcome.seen == 2
    answer = await exchanges.make(largest, filling, message(), limit=0)
    assert answer.status == 400
    assert len(proxy.sessions) == 0


async def test_what_is_compressed_is_bounded_by_what_it_becomes(proxy, exchanges):
    body = exchanges.greeting() + message() * (3 * http.BODY_MAX // MESSAGE_HEADER.size)
    answer = await exchanges.post(gzip.compress(body), **{"Content-Encoding": "gzip"})
    assert answer.status == 400
    assert len(proxy.sessions) == 0


@every_loop
async def test_a_request_that_does_not_come_whole_in_time_is_cut_off_and_counts_as_far_as_it_came(
    proxy, exchanges, echo_server, monkeypatch
):
    await exchanges.make(limit=0)
    body = exchanges.greeting(limit=0) + connecting(echo_server, b"hello")
    monkeypatch.setattr(http, "TRANSFER_TIMEOUT", 0.2)
    request = await Request.begun(proxy.address, len(body) + 100)
    request.writer.write(body + bytes(19))
    await request.cut_off()
    assert await exchanges.received(5) == b"hello"


@every_loop
async def test_a_request_that_is_cut_counts_as_far_as_it_came(proxy, exchanges, echo_server):
    await exchanges.make(limit=0)
    body = exchanges.greeting() + connecting(echo_server, b"hello")
    request = await Request.begun(proxy.address, len(body) + 100)
    request.writer.write(body + bytes(19))
    await until(lambda: proxy.sessions.sockets)
    request.cut()
    assert await exchanges.received(5) == b"hello"


async def test_only_so_many_exchanges_of_a_session_may_be_under_way(proxy, exchanges, monkeypatch):
    monkeypatch.setattr(http, "TRANSFER_TIMEOUT", 5.0)
    await exchanges.make(limit=0)
    under_way = [await Request.begun(proxy.address, 4096) for _ in range(http.AT_ONCE_MAX)]
    for request in under_way:
        request.writer.write(exchanges.greeting())
    (session,) = proxy.sessions
    await until(lambda: session.carriage.exchanges == http.AT_ONCE_MAX)
    with pytest.raises(RefusedError) as caught:
        await exchanges.make()
    assert caught.value.code == "busy"
    under_way.pop().cut()
    await until(lambda: session.carriage.exchanges < http.AT_ONCE_MAX)
    await exchanges.make(limit=0)
    for request in under_way:
        request.cut()
