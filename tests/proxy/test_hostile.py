from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import random
import sys

import aiohttp
import pytest
from aiohttp import web
from websockets import ConnectionClosed

from pynet_browser.fields import SAFE_INTEGER_MAX, Address
from pynet_browser.frames import (
    Accepted,
    Associate,
    Bind,
    Bound,
    Close,
    Connect,
    Connected,
    Data,
    Datagram,
    Done,
    Dropped,
    Failed,
    Fault,
    Frame,
    Goaway,
    Kind,
    Listen,
    Open,
    Option,
    Ping,
    Pong,
    Reset,
    Resolved,
    Shutdown,
    Unknown,
    Welcome,
    Window,
)
from pynet_browser.link import MESSAGES_UNDER_WAY
from pynet_browser.proxy.policy import Rule
from pynet_browser.window import WINDOW_INITIAL
from pynet_browser.wire import FRAME_HEADER, MESSAGE_HEADER, MESSAGE_MAX, encode_frame, encode_message
from tests.peers import Echo, pattern
from tests.proxy.carrier import Carrier, hello
from tests.proxy.client import Page
from tests.proxy.hosts import UdpEcho
from tests.proxy.running import EVERY_LOOP, TOKEN, RunningProxy, listening, running_proxy, until
from tests.proxy.tormentors import FOREIGN, conversation, torment, torment_as, torment_by_http, torment_relay

LOOPBACK = Address(4, "127.0.0.1", 80)
CONNECT = Connect(1, 0, 9, 0, "127.0.0.1")
STREAM, DATAGRAMS = Open(1, 0, 4), Open(1, 1, 4)


@pytest.fixture
async def host():
    """Echoes at one port, by TCP and by UDP."""
    with contextlib.ExitStack() as stack:
        while True:
            peer = stack.enter_context(Echo())
            with contextlib.suppress(OSError):  # the UDP port of this number may be somebody else's
                stack.enter_context(UdpEcho(*peer.address))
                break
        yield peer


@pytest.fixture
async def proxy(host):
    """A proxy that reaches one host only, whatever address a mutation makes up, and listens for it alone."""
    allow, deny = (Rule.parse(f"127.0.0.1:{host.port}"),), (Rule.parse("*:*"),)
    async with running_proxy(allow=allow, deny=deny, listen=listening("10000-65535"), grace=0.2) as proxy:
        yield proxy


@pytest.fixture
async def bystander(proxy, host):
    """A page that works all the while, and must not notice anything."""
    async with proxy.page() as page:
        working = asyncio.create_task(work(page, host))
        yield page
        assert not working.done()
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        assert page.over is None


async def work(page: Page, host: Echo) -> None:
    listener, datagrams = page.stream(), page.datagrams()
    address = await listener.listen()
    while True:
        socket = page.connect(*host.address)
        data = pattern(100_000)
        await socket.send(data)
        socket.shutdown()
        assert await socket.read() == data
        assert (await page.resolve("127.0.0.1")).addresses
        datagrams.send(b"hello", *host.address)
        assert (await datagrams.recv())[0] == b"hello"
        _, writer = await asyncio.open_connection(*address[1:])
        with contextlib.closing(writer):
            writer.write(b"hello")
            guest = await listener.accept()
            assert await guest.recv() == b"hello"
        guest.close()


async def welcomed(proxy: RunningProxy) -> Carrier:
    carrier = await Carrier.open(proxy.url)
    await carrier.greet(hello(TOKEN))
    return carrier


def message(*frames: Frame, number: int = 1, ack: int = 0) -> bytes:
    return encode_message(number, ack, [encode_frame(frame) for frame in frames])


def raw_message(*bodies: bytes, number: int = 1, ack: int = 0) -> bytes:
    body = b"".join(bodies)
    return MESSAGE_HEADER.pack(len(body), number, ack) + body


def raw_frame(kind: int, payload: bytes, socket: int = 1, length: int | None = None) -> bytes:
    return FRAME_HEADER.pack(kind, 0, socket, len(payload) if length is None else length) + payload


BREACHES = {
    "even socket id": message(Connect(2, 0, 9, 0, "127.0.0.1")),
    "socket id 0": message(Connect(0, 0, 9, 0, "127.0.0.1")),
    "socket id used twice": message(CONNECT, CONNECT),
    "socket id that goes down": message(Connect(5, 0, 9, 0, ""), Connect(3, 0, 9, 0, "")),
    "socket id used after its close": message(CONNECT, Close(1), CONNECT),
    "more data than the window": message(CONNECT, Data(1, bytes(WINDOW_INITIAL + 1))),
    "more credit than fits": message(CONNECT, Window(1, 2**32 - 1)),
    "data after the end": message(CONNECT, Shutdown(1), Data(1, b"x")),
    "two ends": message(CONNECT, Shutdown(1), Shutdown(1)),
    "id of the proxy's for a stream": message(Open(2, 0, 4)),
    "id of the proxy's for datagrams": message(Open(2, 1, 4)),
    "id opened twice": message(STREAM, STREAM),
    "id opened after it has connected": message(CONNECT, STREAM),
    "id opened after its close": message(STREAM, Close(1), STREAM),
    "id connected after its close": message(STREAM, Close(1), CONNECT),
    "data without a connection": message(STREAM, Data(1, b"x")),
    "end without a connection": message(STREAM, Shutdown(1)),
    "credit without a connection": message(STREAM, Window(1, 1)),
    "data that is no datagram": message(DATAGRAMS, Data(1, b"x")),
    "end of datagrams": message(DATAGRAMS, Shutdown(1)),
    "credit for datagrams": message(DATAGRAMS, Window(1, 1)),
    "connection of a datagram socket": message(DATAGRAMS, CONNECT),
    "datagram on a stream": message(STREAM, Datagram(1, LOOPBACK, b"x")),
    "datagram on a connection": message(CONNECT, Datagram(1, LOOPBACK, b"x")),
    "connection of a listener": message(STREAM, Listen(1, 1, 5), CONNECT),
    "data for a listener": message(STREAM, Listen(1, 1, 5), Data(1, b"x")),
    "more connections granted than fit": message(STREAM, Listen(1, 1, 5), Window(1, 2**32 - 1)),
    "frame of the proxy": message(Connected(1, LOOPBACK, LOOPBACK)),
    "connection that a page accepts": message(Accepted(2, 1, LOOPBACK, LOOPBACK)),
    "drops that a page counts": message(Dropped(1, 1)),
    "fault of a page": message(Fault(1, "EACCES", "")),
    "answer of the proxy": message(Resolved(1, 0, "", ())),
    "other answer of the proxy": message(Failed(1, "EACCES", "")),
    "address of the proxy": message(Bound(1, LOOPBACK)),
    "option that a page has set": message(Done(1)),
    "numbered ping": message(Ping(0, 1)),
    "numbered greeting": message(hello(TOKEN)),
    "numbered farewell": message(Goaway(0, "shutdown", "")),
    "second greeting": message(hello(TOKEN), number=0),
    "welcome from a page": message(Welcome(0, 1, "", "", 0, 0, 0, 0, 0, (), ""), number=0),
    "connect without a number": message(CONNECT, number=0),
    "data without a number": message(Data(1, b"x"), number=0),
    "acknowledgement of what was never sent": message(number=0, ack=1),
    "number far ahead": message(number=2 * MESSAGES_UNDER_WAY + 2),
    "number beyond 2^53": raw_message(number=SAFE_INTEGER_MAX + 1),
    "acknowledgement beyond 2^53": raw_message(number=0, ack=2**64 - 1),
    "message beyond the limit": MESSAGE_HEADER.pack(MESSAGE_MAX + 1, 1, 0),
    "message of 4 GiB": MESSAGE_HEADER.pack(2**32 - 1, 1, 0),
    "frame longer than its message": raw_message(raw_frame(Kind.DATA, b"x", length=2)),
    "frame of 4 GiB": raw_message(raw_frame(Kind.CONNECT, b"", length=2**32 - 1)),
    "half a frame header": raw_message(FRAME_HEADER.pack(Kind.CLOSE, 0, 1, 0)[:5]),
    "empty connect": raw_message(raw_frame(Kind.CONNECT, b"")),
    "text longer than its frame": raw_message(raw_frame(Kind.CONNECT, b"\0\0\x09\0\0\0\0\xff\xffx")),
    "text that is not UTF-8": raw_message(raw_frame(Kind.CONNECT, b"\0\0\x09\0\0\0\0\0\x01\xff")),
    "datagram for an address of family 5": raw_message(raw_frame(Kind.DATAGRAM, b"\x05\0\x50\0\x01xdata")),
    "datagram without an address": raw_message(raw_frame(Kind.DATAGRAM, b"")),
    "option with more values than it has": raw_message(raw_frame(Kind.OPTION, b"\0\0\0\1\0\x01x\xff\xff")),
    "address of family 5": raw_message(raw_frame(Kind.REVERSE, b"\x05\0\x50\0\x01x\0")),
    "bad frame in a message of number 0": raw_message(raw_frame(Kind.PING, b"\0"), number=0),
}


@pytest.mark.parametrize("breach", BREACHES.values(), ids=BREACHES.keys())
async def test_a_page_that_breaks_the_protocol_is_told_how_and_sent_away(proxy, bystander, breach):
    carrier = await welcomed(proxy)
    await carrier.send_bytes(breach)
    frame: Frame = Ping(0, 0)
    while not isinstance(frame, Goaway):
        _, frame = (await carrier.receive())[-1]
    assert frame.code == "protocol"
    assert frame.message
    with pytest.raises(ConnectionClosed) as caught:
        await carrier.next_message()
    assert caught.value.rcvd
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4400, frame.message)
    assert len(proxy.sessions) == 1  # the bystander's


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param("text", 4400, id="text"),
        pytest.param(bytes(MESSAGE_HEADER.size + MESSAGE_MAX + 1), 1009, id="more than a message"),
    ],
)
async def test_what_is_no_message_at_all_ends_the_session_too(proxy, bystander, sent, code):
    carrier = await welcomed(proxy)
    await carrier.socket.send(sent)
    async for _ in carrier.messages():
        pass
    assert carrier.socket.close_code == code
    await until(lambda: len(proxy.sessions) == 1)


IGNORED = {
    "frames about sockets never heard of": message(
        Data(99, b"x"), Window(99, 5), Shutdown(99), Close(99), Reset(99, "", ""), Close(0)
    ),
    "datagrams of sockets never heard of": message(Datagram(99, LOOPBACK, b"x")),
    "datagrams of sockets that are closed": message(DATAGRAMS, Close(1), Datagram(1, LOOPBACK, b"x")),
    "requests about sockets never heard of": message(
        Bind(1, 99, 0, ""),
        Bind(1, 99, 0, "a.name"),
        Listen(1, 99, 1),
        Associate(1, 99, 1, ""),
        Option(1, 99, "", ()),
    ),
    "requests about sockets of the proxy's": message(Bind(1, 2, 0, ""), Listen(1, 0, 2**32 - 1)),
    "a family that does not exist": message(Open(1, 0, 5), Data(1, b"x"), Connect(1, 0, 9, 0, "")),
    "a backlog that no system has": message(STREAM, Listen(1, 1, 2**32 - 1)),
    "a datagram to nowhere": message(DATAGRAMS, Datagram(1, Address(4, "\0" * 60_000, 0), b"")),
    "texts that are long": message(
        DATAGRAMS,
        Bind(1, 1, 0, "x" * 65_535),
        Associate(1, 1, 9, "\N{SNOWMAN}" * 20_000),
        Option(1, 1, "\0" * 65_535, ("9" * 65_535,) * 3),
    ),
    "a kind that does not exist": raw_message(raw_frame(0xFE, b"whatever")),
    "an answer to nothing": message(Unknown(1, 0x10)),
    "a pong nobody asked for": message(Pong(0, 1), number=0),
    "a number already seen": message(number=1) + message(number=1) + message(number=2),
    "flags, and more than the known fields": raw_message(
        FRAME_HEADER.pack(Kind.RESOLVE, 0xFF, 1, 9) + b"\0\0\0\0\0more"
    ),
    "empty data": message(Data(1, b"")),
    "an empty message": raw_message(number=1),
}


@pytest.mark.parametrize("sent", IGNORED.values(), ids=IGNORED.keys())
async def test_what_can_do_no_harm_does_none(proxy, sent):
    carrier = await welcomed(proxy)
    await carrier.send_bytes(sent)
    await carrier.send(Ping(0, 7))
    frames: list[Frame] = []
    while Pong(0, 7) not in frames:
        frames += [frame for _, frame in await carrier.receive()]
    assert not any(isinstance(frame, Goaway) for frame in frames)
    await carrier.send(Goaway(0, "shutdown", ""))


# ── Noise ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio(loop_factories=EVERY_LOOP)
@pytest.mark.parametrize("seed", [1, 2])
async def test_thousands_of_mutated_messages_harm_nobody(proxy, bystander, host, seed, caplog):
    chance = random.Random(seed)
    messages = conversation(host.port)
    endings = [await torment(proxy.url, TOKEN, messages, chance) for _ in range(300)]
    sent_away = [ending for ending in endings if ending]
    assert len(sent_away) > 100
    assert all(reason for _, reason in sent_away)
    assert {code for code, _ in sent_away} <= {4400, 1001}  # 1001: a mutation became a farewell
    # What is left is the bystander's, once the grace of those that just left is over.
    await until(lambda: len(proxy.sessions) == 1)
    assert proxy.sessions.sockets <= 5
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_mutated_requests_harm_nobody(proxy, bystander, host, caplog):
    chance = random.Random(3)
    messages, base = conversation(host.port), proxy.base.replace("ws", "http", 1)
    async with aiohttp.ClientSession() as client:
        statuses = [
            await torment_by_http(client, f"{base}/pynet/http", TOKEN, messages, chance) for _ in range(200)
        ]
        relayed = [
            await torment_relay(client, f"{base}/pynet/fetch", TOKEN, host.port, chance) for _ in range(100)
        ]
    assert set(statuses) == {200, 400, 403}
    assert {200, 400} <= set(relayed) <= {200, 400, 403}
    await until(lambda: len(proxy.sessions) == 1)
    assert proxy.sessions.sockets <= 5
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("kind", FOREIGN)
async def test_mutated_messages_of_foreign_clients_harm_nobody(proxy, bystander, host, kind, caplog):
    chance = random.Random(4)
    endings = [await torment_as(kind, proxy.base, TOKEN, host.port, chance) for _ in range(100)]
    assert all(ending is None or ending[0] in (1000, 1003, 1011, 1013) or ending[1] for ending in endings)
    await until(lambda: len(proxy.sessions) == 1)
    assert proxy.sessions.sockets <= 5
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def has_websockets() -> bool:
    """aiohttp keeps one for a keep-alive's time where something came behind its close."""
    gc.collect()
    return any(isinstance(each, web.WebSocketResponse) for each in gc.get_objects())


async def test_mutated_messages_leave_no_memory_behind(host):
    chance = random.Random(5)
    messages = conversation(host.port)
    async with running_proxy(deny=(Rule.parse("*:*"),), grace=0.2, keepalive=0.3) as proxy:

        async def memory_after(count: int) -> int:
            for _ in range(count):
                await torment(proxy.url, TOKEN, messages, chance)
            await until(lambda: not (len(proxy.sessions) or has_websockets()))
            return sys.getallocatedblocks()

        await memory_after(50)  # what is made only once is there then
        before = await memory_after(100)
        assert await memory_after(200) - before < 10 * 200  # blocks; a session takes hundreds
