from __future__ import annotations

import asyncio
import contextlib
import socket as host_socket
import threading
import time

import pytest

from pynet_browser.frames import Connect, Datagram, Goaway, Listen
from pynet_browser.proxy.config import Limits
from pynet_browser.proxy.peers import PEER_BYTES
from pynet_browser.proxy.policy import Rule
from pynet_browser.window import WINDOW_INITIAL
from pynet_browser.wire import MESSAGE_HEADER, encode_message
from tests.peers import Source, pattern
from tests.proxy.carrier import Carrier, ReasonError, hello
from tests.proxy.client import Page, PageSocket, ResetError
from tests.proxy.exchanges import Exchanges
from tests.proxy.hosts import UdpEcho, UdpHost, Witness
from tests.proxy.running import EVERY_LOOP, TOKEN, Stopwatch, listening, running_proxy, until

every_loop = pytest.mark.asyncio(loop_factories=EVERY_LOOP)


async def failure(socket: PageSocket) -> ResetError:
    with pytest.raises(ResetError) as caught:
        await socket.connected()
    return caught.value


# ── How many ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_session_has_only_so_many_sockets(echo_server):
    async with running_proxy(Limits(sockets_per_session=2)) as proxy, proxy.page() as page:
        sockets = [page.connect(*echo_server.address) for _ in range(2)]
        error = await failure(page.connect(*echo_server.address))
        assert error.code == "EMFILE"
        assert (
            error.message == "2 sockets are open, the most that the proxy allows (limits.sockets_per_session)"
        )
        sockets[0].close()
        await until(lambda: proxy.sessions.sockets == 1)
        await page.connect(*echo_server.address).connected()


async def test_all_sessions_have_only_so_many_sockets(echo_server):
    async with running_proxy(Limits(sockets=2)) as proxy, proxy.page() as first:
        async with proxy.page() as second:
            for page in (first, second):
                await page.connect(*echo_server.address).connected()
            error = await failure(first.connect(*echo_server.address))
            assert error.code == "ENFILE"
            assert error.message == "2 sockets are open, the most that the proxy allows (limits.sockets)"
        await until(lambda: proxy.sessions.sockets == 1)
        await first.connect(*echo_server.address).connected()


async def test_sockets_that_failed_to_connect_do_not_count(refusing_port, echo_server):
    async with running_proxy(Limits(sockets_per_session=2)) as proxy, proxy.page() as page:
        for _ in range(10):
            assert (await failure(page.connect(*refusing_port.address))).code == "ECONNREFUSED"
        await page.connect(*echo_server.address).connected()


async def test_sockets_of_every_kind_count(echo_server):
    async with running_proxy(Limits(sockets_per_session=3)) as proxy, proxy.page() as page:
        opened, datagrams, connection = page.stream(), page.datagrams(), page.connect(*echo_server.address)
        await connection.connected()
        assert proxy.sessions.sockets == 3
        too_many = [page.stream(), page.datagrams()]
        await until(lambda: all(socket.error for socket in too_many))
        for refused in too_many:
            assert isinstance(refused.error, ReasonError)
            assert refused.error.code == "EMFILE"
            assert refused.error.message.endswith("(limits.sockets_per_session)")
        opened.close()
        datagrams.close()
        connection.close()
        await until(lambda: proxy.sessions.sockets == 0)


async def test_a_page_that_opens_listeners_without_end_runs_out_of_them_alone():
    limits = Limits(sockets_per_session=50)
    async with running_proxy(limits, listen=listening("*")) as proxy, proxy.page() as page:
        listeners = [page.stream() for _ in range(1000)]
        for listener in listeners:
            page.send(Listen(1, listener.id, 2**32 - 1))
        await until(lambda: sum(listener.error is not None for listener in listeners) == 950)
        assert proxy.sessions.sockets == 50
        async with proxy.page() as other:
            listener = other.stream()
            reader, writer = await asyncio.open_connection(*(await listener.listen())[1:])
            await (await listener.accept()).send(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.close()


async def test_a_page_that_takes_no_connections_has_no_more_of_them_than_it_may():
    limits = Limits(sockets_per_session=10)
    async with (
        running_proxy(limits, listen=listening("*")) as proxy,
        proxy.page(window=1000) as page,
        contextlib.AsyncExitStack() as stack,
    ):
        listener = page.stream()
        address = await listener.listen(1000)
        for _ in range(30):
            _, writer = await asyncio.open_connection(*address[1:])
            stack.callback(writer.close)
            writer.write(pattern(100_000))
        await until(lambda: listener.queue.qsize() == 9)
        await page.resolve("127.0.0.1")
        assert proxy.sessions.sockets == 10
        await until(
            lambda: proxy.sessions.buffered < 10_000
        )  # what the page does not read waits at the hosts


# ── How fast ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_connects_beyond_a_burst_are_made_at_the_rate_that_is_allowed(echo_server):
    limits = Limits(connects_per_second=20, connect_burst=2)
    async with running_proxy(limits) as proxy, proxy.page() as page:
        watch = Stopwatch()
        sockets = [page.connect(*echo_server.address) for _ in range(8)]
        for socket in sockets:
            await socket.connected()
        watch.stop(0.25, 1)


async def test_a_connect_whose_turn_does_not_come_in_time_fails(echo_server):
    limits = Limits(connects_per_second=1, connect_burst=2)
    async with running_proxy(limits) as proxy, proxy.page() as page:
        burst = [page.connect(*echo_server.address) for _ in range(2)]
        late = page.connect(*echo_server.address, timeout=100)
        watch = Stopwatch()
        for socket in burst:
            await socket.connected()
        watch.stop(0, 0.5)
        error = await failure(late)
        assert error.code == "ETIMEDOUT"
        assert error.message == "the page connects too often (limits.connects_per_second)"
        await until(lambda: echo_server.accepted == 2)


async def test_a_page_that_floods_hosts_with_datagrams_is_held_to_its_rate_and_no_other_page():
    limits = Limits(datagrams_per_second=100, datagram_burst=100)
    async with running_proxy(limits) as proxy, proxy.page() as page, proxy.page() as other:
        with UdpHost() as host, UdpEcho() as echo:
            flooding, quiet = page.datagrams(), other.datagrams()
            start = time.monotonic()
            for number in range(20_000):
                flooding.send(b"flood", *host.address)
                if number % 1000 == 0:
                    quiet.send(b"hello", *echo.address)
                    assert (await quiet.recv())[0] == b"hello"
            await until(lambda: flooding.dropped + host.heard() == 20_000)
            assert host.heard() <= 100 + 100 * (time.monotonic() - start) + 1
            assert quiet.dropped == 0


async def test_a_host_that_floods_a_page_with_datagrams_takes_nothing_from_its_other_sockets(echo_server):
    limits = Limits(datagrams_per_second=100, datagram_burst=100)
    async with running_proxy(limits, listen=listening("*")) as proxy, proxy.page() as page:
        flooded = page.datagrams()
        local = await flooded.bind("127.0.0.1")
        connection = page.connect(*echo_server.address)
        with UdpHost() as host:
            for number in range(5000):
                host.send(bytes(1000), *local[1:])
                if number % 100 == 0:
                    await connection.send(b"hello")
                    assert await connection.recv() == b"hello"
            await until(lambda: flooded.dropped)
        assert proxy.sessions.buffered < 1 << 20


# ── How much ──────────────────────────────────────────────────────────────────────────────────────────────


@every_loop
async def test_what_hosts_do_not_take_is_bounded_for_each_session(echo_server):
    # Hosts that do not read from the start hold a socket at its first window: the limit allows for two.
    limits = Limits(buffered_per_session=2 * WINDOW_INITIAL + 100_000)
    async with running_proxy(limits) as proxy, proxy.page() as page:
        with Witness(receive_buffer=4096) as peer:
            peer.may_read.clear()
            sockets = [page.connect(*peer.address) for _ in range(40)]
            for socket in sockets:
                await socket.connected()
            sending = [asyncio.create_task(socket.send(pattern(8 << 20))) for socket in sockets]
            most = 0
            while not any(task.done() for task in sending):
                most = max(most, proxy.sessions.buffered)
                await asyncio.sleep(0)
            assert most <= limits.buffered_per_session
            [error, *_] = [task.exception() for task in sending if task.done()]
            assert isinstance(error, ResetError)
            assert error.code == "ENOBUFS"
            assert "limits.buffered_per_session" in error.message
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
            socket = page.connect(*echo_server.address)
            await socket.send(b"hello")
            assert await socket.recv() == b"hello"


async def test_what_is_sent_before_connections_stand_is_bounded_too(unanswering_port):
    limits = Limits(buffered_per_session=2 * WINDOW_INITIAL + 10_000)
    async with running_proxy(limits) as proxy, proxy.page() as page:
        sockets = [page.connect(*unanswering_port.address) for _ in range(3)]
        for socket in sockets:
            await socket.send(pattern(WINDOW_INITIAL))
        assert (await failure(sockets[2])).code == "ENOBUFS"
        await until(lambda: proxy.sessions.sockets == 2)
        assert proxy.sessions.buffered < limits.buffered_per_session


async def test_the_peers_that_datagram_sockets_remember_are_bounded_for_each_session():
    limits = Limits(buffered_per_session=50_000, datagrams_per_second=1_000_000, datagram_burst=1_000_000)
    async with running_proxy(limits, deny=[Rule.parse("udp:10.0.0.0/8:*")]) as proxy, proxy.page() as page:
        sockets = [page.datagrams() for _ in range(20)]
        for number in range(2000):
            sockets[number % 20].send(b"", f"10.0.{number >> 8}.{number & 255}", 9)
        with UdpEcho() as echo:
            for socket in sockets:
                socket.send(b"hello", *echo.address)
                while not isinstance(await socket.queue.get(), Datagram):
                    pass
        assert proxy.sessions.buffered < limits.buffered_per_session + 20 * PEER_BYTES
        for socket in sockets:
            socket.close()
        await until(lambda: proxy.sessions.sockets == 0)
        await until(lambda: proxy.sessions.buffered < 1000)


async def stuck(page: Page, peer: Witness) -> PageSocket:
    """A socket whose host does not read, with its window used up."""
    socket = page.connect(*peer.address)
    sending = asyncio.create_task(socket.send(pattern(16 << 20)))
    await until(lambda: socket.addresses and not socket.credit)
    sending.cancel()
    return socket


class Hoarder:
    """A page that takes all it can get and acknowledges nothing."""

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        self.came = 0
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url: str, peer: Source) -> Hoarder:
        carrier = await Carrier.open(url)
        await carrier.greet(hello(TOKEN, window=1 << 30))
        await carrier.send(Connect(1, 0, peer.port, 0, peer.host), number=1)
        return cls(carrier)

    async def _read(self) -> None:
        async for message in self.carrier.messages():
            self.came += MESSAGE_HEADER.size + len(message.body)

    async def leave(self) -> None:
        await self.carrier.send(Goaway(0, "shutdown", ""))
        await self._reading


async def test_a_session_has_its_share_however_much_the_others_hold():
    limits = Limits(buffered_total=4 << 20, sessions=8)
    with Source(64 << 20) as peer:
        async with running_proxy(limits) as proxy:
            hoarder = await Hoarder.open(proxy.url, peer)
            await until(lambda: proxy.sessions.full)
            async with proxy.page() as page:
                socket = page.connect(*peer.address)
                data = await socket.read(8 << 20)
                assert data == pattern(len(data))
            assert hoarder.came < 5 << 20
            await hoarder.leave()


async def test_a_page_may_send_no_more_than_its_share_when_all_together_hold_too_much():
    limits = Limits(buffered_total=4 << 20, sessions=8)  # a share is two windows
    with Source(64 << 20) as source, Witness(receive_buffer=4096) as peer:
        peer.may_read.clear()
        async with running_proxy(limits) as proxy:
            hoarder = await Hoarder.open(proxy.url, source)
            await until(lambda: proxy.sessions.full)
            async with proxy.page() as page:
                sockets = [page.connect(*peer.address) for _ in range(40)]
                sending = [asyncio.create_task(socket.send(pattern(1 << 20))) for socket in sockets]
                done, _ = await asyncio.wait(sending, return_when=asyncio.FIRST_EXCEPTION)
                codes = {error.code for task in done if (error := failed(task))}
                assert codes == {"ENOBUFS"}
                assert proxy.sessions.buffered < limits.buffered_total + 2 * proxy.sessions.share
                assert not all(failed(task) for task in sending)  # those within the share go on
                for task in sending:
                    task.cancel()
                await asyncio.gather(*sending, return_exceptions=True)
            await hoarder.leave()


def failed(task: asyncio.Task[None]) -> ResetError | None:
    error = task.exception() if task.done() else None
    assert error is None or isinstance(error, ResetError)
    return error


async def test_a_session_goes_on_when_others_let_go():
    limits = Limits(buffered_total=4 << 20, sessions=8)
    with Source(64 << 20) as peer:
        async with running_proxy(limits) as proxy:
            first = await Hoarder.open(proxy.url, peer)
            await until(lambda: first.came > 1 << 20)
            second = await Hoarder.open(proxy.url, peer)
            await until(lambda: proxy.sessions.full)
            await first.leave()
            before = second.came
            await until(lambda: second.came > max(before, 3 << 20))
            await second.leave()


async def test_a_session_goes_on_when_it_is_back_within_its_share():
    limits = Limits(buffered_total=8 << 20, sessions=16)
    with Source(64 << 20) as source, Witness(receive_buffer=4096) as peer:
        peer.may_read.clear()
        async with running_proxy(limits) as proxy, proxy.page() as page:
            sockets = []
            while proxy.sessions.buffered <= 2 * proxy.sessions.share:
                sockets.append(await stuck(page, peer))
            held = proxy.sessions.buffered
            hoarders = [await Hoarder.open(proxy.url, source)]
            await until(lambda: proxy.sessions.full)
            waiting = page.connect(*source.address)
            await waiting.connected()
            # Others take their shares, so that all together hold too much even without this page.
            while proxy.sessions.buffered < limits.buffered_total + held + proxy.sessions.share:
                hoarders.append(await Hoarder.open(proxy.url, source))
                await until(lambda: hoarders[-1].came > proxy.sessions.share)
            assert waiting.waiting == 0
            for socket in sockets:
                socket.close()
            peer.may_read.set()
            await until(lambda: waiting.waiting)
            assert proxy.sessions.full
            for hoarder in hoarders:
                await hoarder.leave()


# ── How much at once ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_message_beyond_the_limit_ends_its_session_and_no_other(echo_server):
    limits = Limits(message_bytes=10_000)
    async with running_proxy(limits) as proxy, proxy.page() as other:
        for size in (10_001, 200_000):  # by a byte, and by so much that the WebSocket itself refuses
            carrier = await Carrier.open(proxy.url)
            await carrier.greet(hello(TOKEN))
            await carrier.send(Connect(1, 0, echo_server.port, 0, echo_server.host), number=1)
            await carrier.socket.send(encode_message(2, 0, [bytes(size)]))
            await carrier.socket.wait_closed()
            assert carrier.socket.close_code in (4400, 1009)
            await until(lambda: len(proxy.sessions) == 1)
        socket = other.connect(*echo_server.address)
        await socket.send(b"hello")
        assert await socket.recv() == b"hello"


async def test_an_exchange_with_a_message_beyond_the_limit_ends_its_session(echo_server):
    limits = Limits(message_bytes=10_000)
    async with running_proxy(limits) as proxy, Exchanges(proxy.url, TOKEN) as exchanges:
        await exchanges.make()
        answer = await exchanges.make(encode_message(1, 0, [bytes(10_001)]))
        assert answer.status == 400
        assert len(proxy.sessions) == 0


async def test_all_sessions_together_look_up_only_so_many_names_at_once(monkeypatch):
    answering, asked = threading.Event(), []
    ask = host_socket.getaddrinfo

    def answer(name, *question):
        if str(name).endswith(".slow"):
            asked.append(name)
            answering.wait(10)
            name = "127.0.0.1"
        return ask(name, *question)

    monkeypatch.setattr(host_socket, "getaddrinfo", answer)
    limits = Limits(resolves=2)
    async with running_proxy(limits) as proxy, proxy.page() as first, proxy.page() as second:
        pages = [first, second, first, second]
        names = [asyncio.create_task(page.resolve(f"{i}.slow")) for i, page in enumerate(pages)]
        await until(lambda: len(asked) == 2)
        await asyncio.sleep(0.1)
        assert len(asked) == 2
        assert (await first.resolve("127.0.0.1")).addresses  # what needs no look-up does not wait
        answering.set()
        await asyncio.gather(*names)
        assert len(asked) == 4
