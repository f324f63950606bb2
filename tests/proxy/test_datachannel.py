"""Datagrams over a data channel: both ends are aiortc's, the page is our own client of the protocol."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time

import aioice.ice
import pytest
from aioice import stun

from pynet_browser.fields import Address
from pynet_browser.frames import Answer, Datagram, Offer, Open
from pynet_browser.proxy.channels import OFFERS_AT_ONCE
from pynet_browser.proxy.config import Limits
from pynet_browser.proxy.policy import Rule
from pynet_browser.proxy.udp import DATAGRAM_MAX
from pynet_browser.wire import encode_frame
from tests.proxy.channel import PageChannel
from tests.proxy.client import FailedError
from tests.proxy.exchanges import Exchanges
from tests.proxy.hosts import UdpEcho, UdpHost
from tests.proxy.running import EVERY_LOOP, TOKEN, listening, running_proxy, until
from tests.proxy.unconnected import FaultError
from tests.relay import Relay
from tests.udp_relay import UdpRelay

pytestmark = pytest.mark.asyncio(loop_factories=EVERY_LOOP)

FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)


@pytest.fixture(autouse=True)
def on_loopback(monkeypatch):
    """The page's ICE; aioice leaves loopback out of itself."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"])


@pytest.fixture
async def proxy():
    async with running_proxy() as proxy:
        yield proxy


@pytest.fixture
async def page(proxy):
    async with proxy.page() as page:
        yield page


@pytest.fixture
async def echo():
    with UdpEcho() as echo:
        yield echo


async def answer(request) -> FailedError:
    with pytest.raises(FailedError) as caught:
        await request
    return caught.value


async def heard(socket, seconds: float = 5) -> bytes:
    async with asyncio.timeout(seconds):
        data, _ = await socket.recv()
    return bytes(data)


# ── Both ways ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_datagrams_come_and_go_by_the_channel(page, echo):
    assert "webrtc" in page.welcome.features
    async with PageChannel(page) as channel:
        sender = page.datagrams()
        await sender.bind()
        channel.route(sender)
        for number in range(20):
            channel.send(sender, b"%d" % number, *echo.address)
        assert {await heard(sender) for _ in range(20)} == {b"%d" % number for number in range(20)}
        assert sender.by_channel == 20


async def test_what_is_heard_comes_with_the_session_until_the_page_asks_for_it_by_the_channel(page, echo):
    async with PageChannel(page) as channel:
        sender = page.datagrams()
        await sender.bind()
        channel.send(sender, b"one", *echo.address)
        assert await heard(sender) == b"one"
        channel.route(sender)
        sender.send(b"two", *echo.address)
        assert await heard(sender) == b"two"
        channel.route(sender, channel=False)
        sender.send(b"three", *echo.address)
        assert await heard(sender) == b"three"
        assert sender.by_channel == 1


async def test_datagrams_go_on_while_the_session_stands_still(proxy, echo):
    with Relay(proxy.address) as relay:
        page = proxy.page()
        page._url = f"ws://127.0.0.1:{relay.port}/pynet"
        async with page, PageChannel(page) as channel:
            sender = page.datagrams()
            await sender.bind()
            channel.route(sender)
            await page.set_option(sender, "SO_BROADCAST", 1)  # all before it has been done
            relay.freeze()
            for number in range(50):
                channel.send(sender, b"%d" % number, *echo.address)
                assert await heard(sender) == b"%d" % number
            relay.thaw()


async def test_what_is_lost_holds_back_nothing(page, echo):
    with contextlib.ExitStack() as stack:
        relays = []

        def relayed(answer) -> int:
            relays.append(stack.enter_context(UdpRelay(("127.0.0.1", answer.addresses[0].port))))
            return relays[0].address[1]

        async with PageChannel(page, relayed) as channel:
            sender = page.datagrams()
            await sender.bind()
            channel.route(sender)
            channel.send(sender, b"first", *echo.address)
            assert await heard(sender) == b"first"
            relays[0].loss = 0.2
            took: list[float] = []

            async def hear() -> None:
                while True:
                    took.append(time.monotonic() - float(await heard(sender)))

            hearing = asyncio.create_task(hear())
            for _ in range(150):
                channel.send(sender, repr(time.monotonic()).encode(), *echo.address)
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            hearing.cancel()
            relays[0].loss = 0
            assert relays[0].lost > 30
            assert 50 < len(took) < 150
            assert sorted(took)[len(took) * 9 // 10] < 0.05  # by TCP one that is lost holds back twenty


async def test_none_overtakes_what_the_session_still_carries(proxy, page):
    async with PageChannel(page) as channel:
        sender = page.datagrams()
        await sender.bind()
        channel.route(sender)
        await page.set_option(sender, "SO_BROADCAST", 1)  # the proxy knows of the route then
        [session] = proxy.sessions
        await until(lambda: session.link.acknowledged == session.link.newest)
        newest = session.link.newest
        assert session.datagram_channel(10, newest) is not None
        assert session.datagram_channel(10, newest + 1) is None


async def test_one_too_large_for_the_channel_comes_with_the_session(page, echo):
    async with PageChannel(page) as channel:
        sender = page.datagrams()
        await sender.bind()
        channel.route(sender)
        for size, by_channel in ((60_000, 1), (DATAGRAM_MAX, 1)):
            sender.send(bytes(size), *echo.address)
            assert len(await heard(sender)) == size
            assert sender.by_channel == by_channel


async def test_a_page_that_waits_in_an_exchange_hears_there(proxy, page):
    with UdpHost() as host:
        async with PageChannel(page) as channel:
            sender = page.datagrams()
            await sender.bind()
            channel.route(sender)
            channel.send(sender, b"here I am", *host.address)
            source = (await host.recv())[1]
            async with Exchanges(proxy.url, TOKEN) as exchanges:
                exchanges.name, exchanges.key, exchanges.seen = page.name, page.key, page.link.received
                waiting = asyncio.create_task(exchanges.make(wait=5))
                [session] = proxy.sessions
                await until(lambda: not session.carriage.listening)
                host.send(b"wake up", *source)
                frames = [frame for _, frame in (await waiting).frames]
            [datagram] = [frame for frame in frames if isinstance(frame, Datagram)]
            assert (bytes(datagram.data), sender.by_channel) == (b"wake up", 0)


async def test_a_socket_that_was_closed_still_sends_what_comes_late(page):
    with UdpHost() as host:
        async with PageChannel(page) as channel:
            sender = page.datagrams()
            await sender.bind()
            channel.route(sender)
            await page.set_option(sender, "SO_BROADCAST", 1)
            sender.close()
            await page.resolve("127.0.0.1")  # the end has arrived
            channel.send(sender, b"late", *host.address)
            assert (await host.recv())[0] == b"late"


async def test_the_port_of_a_closed_socket_is_free_at_once():
    everywhere = listening("*")
    async with running_proxy(listen=everywhere) as proxy, proxy.page() as page, PageChannel(page) as channel:
        first = page.datagrams()
        address = await first.bind("127.0.0.1")
        channel.route(first)
        first.close()
        assert await page.datagrams().bind("127.0.0.1", address.port) == address


# ── What a page may not ─────────────────────────────────────────────────────────────────────────────────────


async def test_the_policy_holds_on_the_channel_too():
    deny = [Rule.parse("udp:127.0.0.1:*")]
    with UdpHost() as host:
        async with running_proxy(deny=deny) as proxy, proxy.page() as page, PageChannel(page) as channel:
            sender = page.datagrams()
            await sender.bind()
            channel.send(sender, b"no", *host.address)
            with pytest.raises(FaultError) as caught:
                await heard(sender)
            assert (caught.value.code, host.heard()) == ("EACCES", 0)


async def test_so_does_the_pace():
    limits = Limits(datagrams_per_second=1, datagram_burst=5)
    with UdpHost() as host:
        async with running_proxy(limits) as proxy, proxy.page() as page, PageChannel(page) as channel:
            sender = page.datagrams()
            await sender.bind()
            for _ in range(20):
                channel.send(sender, b"x", *host.address)
            await until(lambda: sender.dropped >= 14)
            assert host.heard() <= 6


async def test_a_datagram_of_no_socket_is_lost(page, echo):
    async with PageChannel(page) as channel:
        sender = page.datagrams()
        await sender.bind()
        for id_ in (sender.id + 2, 4, 0, 2**32 - 1):
            message = encode_frame(Datagram(id_, Address(4, *echo.address), b"x"))
            channel.send_bytes(message)
        channel.send(sender, b"there", *echo.address)
        assert await heard(sender) == b"there"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"nonsense",
        "text",
        encode_frame(Open(1, 1, 4)),
        encode_frame(Datagram(1, Address(4, "127.0.0.1", 9), b"")) * 2,
    ],
)
async def test_what_is_no_datagram_ends_the_session(page, message):
    async with PageChannel(page) as channel:
        channel.send_bytes(message)
        await until(lambda: page.over)
        assert page.over.code == "protocol"


@pytest.mark.parametrize(
    "offer",
    [
        Offer(0, "", "p" * 22, FINGERPRINT, 0),
        Offer(0, "us er", "p" * 22, FINGERPRINT, 0),
        Offer(0, "user\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host", "p" * 22, FINGERPRINT, 0),
        Offer(0, "user", "p" * 22, "md5 AA", 0),
        Offer(0, "user", "p" * 22, FINGERPRINT * 100, 0),
        Offer(0, "u" * 60_000, "p" * 60_000, FINGERPRINT, 2**32 - 1),
    ],
    ids=range(6),
)
async def test_an_offer_without_sense_is_refused(proxy, page, offer):
    assert (await answer(page.request(offer))).code == "EINVAL"
    assert len(proxy.sessions.channels) == 0
    assert page.over is None


async def test_who_asks_too_often_is_refused(proxy, page):
    offer = Offer(0, "user", "p" * 22, FINGERPRINT, 0)
    for _ in range(OFFERS_AT_ONCE):
        await page.request(offer)
    assert (await answer(page.request(offer))).code == "EAGAIN"
    assert len(proxy.sessions.channels) == 1  # each takes the place of the one before


async def test_there_are_no_more_channels_than_allowed():
    async with running_proxy(Limits(peer_connections=1)) as proxy, proxy.page() as one, proxy.page() as other:
        async with PageChannel(one):
            error = await answer(other.request(Offer(0, "user", "p" * 22, FINGERPRINT, 0)))
            assert (error.code, "peer_connections" in error.message) == ("EAGAIN", True)
        await until(lambda: len(proxy.sessions.channels) == 0)
        async with PageChannel(other):
            pass


async def test_who_shows_another_certificate_gets_no_channel(page):
    channel = PageChannel(page)

    def another(offer: Offer) -> Offer:
        return Offer(0, offer.user, offer.password, FINGERPRINT, offer.limit)

    channel.change = another
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await channel.__aenter__()
    await channel.__aexit__()


# ── What comes to the port ──────────────────────────────────────────────────────────────────────────────────


async def ask(proxy_address: Address, packets: list[bytes], seconds: float = 0.3) -> bytes | None:
    """What the port answers to these packets, if anything."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        stranger.bind(("127.0.0.1", 0))
        for packet in packets:
            stranger.sendto(packet, (proxy_address.host, proxy_address.port))
        arrived = asyncio.Event()
        loop.add_reader(stranger, arrived.set)
        try:
            async with asyncio.timeout(seconds):
                await arrived.wait()
            return stranger.recv(2048)
        except TimeoutError:
            return None
        finally:
            loop.remove_reader(stranger)


def check(user: str, password: str) -> bytes:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = user
    message.attributes["PRIORITY"] = 1
    message.add_message_integrity(password.encode())
    return bytes(message)


async def test_strangers_get_no_answer(page, echo):
    async with PageChannel(page) as channel:
        [place] = channel.answer.addresses
        plain = bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST))
        wrong = check(f"{channel.answer.user}:page", "x" * 24)
        packets = [b"", plain, wrong, check("nobody:page", channel.answer.password)]
        packets += [bytes([first]) + os.urandom(100) for first in range(0, 256, 5)]
        assert await ask(place, packets) is None
        sender = page.datagrams()
        await sender.bind()
        channel.route(sender)
        channel.send(sender, b"still", *echo.address)
        assert await heard(sender) == b"still"


async def test_the_proxy_checks_no_address_itself(page):
    """What an offer names as the page's is never sent anything: there is no place for it on the wire."""
    request = await page.request(Offer(0, "user", "p" * 22, FINGERPRINT, 0))
    assert isinstance(request, Answer)
    [place] = request.addresses
    response = await ask(place, [check(f"{request.user}:user", request.password)], 5)
    assert response is not None
    message = stun.parse_message(response)
    assert (message.message_class, message.check_message_integrity(request.password.encode())) == (
        stun.Class.RESPONSE,
        True,
    )


# ── Without ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_proxy_told_to_has_none():
    async with running_proxy(webrtc=False) as proxy, proxy.page() as page:
        assert "webrtc" not in page.welcome.features
        error = await answer(page.request(Offer(0, "user", "p" * 22, FINGERPRINT, 0)))
        assert (error.code, "--no-webrtc" in error.message) == ("EOPNOTSUPP", True)


async def test_one_without_aiortc_has_none(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    async with running_proxy() as proxy, proxy.page() as page:
        assert "webrtc" not in page.welcome.features


async def test_the_channel_ends_with_its_session(proxy):
    page = proxy.page()
    await page.open()
    async with PageChannel(page) as channel:
        await page.close()
        async with asyncio.timeout(5):
            await channel.closed.wait()
        await until(lambda: len(proxy.sessions.channels) == 0)


async def test_a_page_that_is_gone_lets_go_of_it(proxy, page, monkeypatch):
    monkeypatch.setattr("pynet_browser.proxy.datachannel.LOOK", 0.1)
    async with PageChannel(page):
        monkeypatch.setattr("pynet_browser.proxy.ice.CONSENT", 0.5)
        assert len(proxy.sessions.channels) == 1
        await until(lambda: len(proxy.sessions.channels) == 0)  # aioice asks every five seconds


async def test_it_listens_where_it_is_told():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        low = taken.getsockname()[1]
        ports, known_as = (low, low + 20), ("192.0.2.7",)
        async with (
            running_proxy(webrtc_ports=ports, webrtc_addresses=known_as) as proxy,
            proxy.page() as page,
        ):
            request = await page.request(Offer(0, "user", "p" * 22, FINGERPRINT, 0))
            assert isinstance(request, Answer)
            [place] = request.addresses
            assert place.host == "192.0.2.7"
            assert low < place.port <= low + 20
