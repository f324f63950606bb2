from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
import time

import pytest

from pynet_browser.fields import Address
from pynet_browser.proxy.policy import Rule
from pynet_browser.window import WINDOW_INITIAL
from tests.peers import Echo, ResetAfter, Source, Unanswering, pattern
from tests.proxy.client import PageSocket, ResetError
from tests.proxy.hosts import EndsFirst, ResetsWhenTold, Witness
from tests.proxy.running import EVERY_LOOP, running_proxy, until

pytestmark = pytest.mark.asyncio(loop_factories=EVERY_LOOP)


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


each_family = pytest.mark.parametrize(
    "host",
    ["127.0.0.1", pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="there is no ::1"))],
)


async def failure(socket: PageSocket) -> ResetError:
    with pytest.raises(ResetError) as caught:
        await socket.connected()
    return caught.value


async def all_before_a_reset(socket: PageSocket) -> tuple[bytes, ResetError]:
    data = bytearray()
    while True:
        try:
            data += await socket.recv()
        except ResetError as error:
            return bytes(data), error


async def fill(socket: PageSocket) -> int:
    """Sends the pattern until nobody takes any more; tells how much that was."""
    sent = quiet = 0
    while quiet < 30:
        quiet += 1
        if socket.credit:
            size = min(socket.credit, 1 << 16)
            await socket.send(pattern(size, sent))
            sent, quiet = sent + size, 0
        await asyncio.sleep(0.01)
    return sent


# ── Connecting ────────────────────────────────────────────────────────────────────────────────────────────


@each_family
async def test_both_ends_addresses_are_the_true_ones(page, host):
    with Witness(host) as peer:
        socket = page.connect(*peer.address)
        addresses = await socket.connected()
        socket.close()
        await until(peer.over.is_set)
    family = 6 if ":" in host else 4
    assert addresses.peer == Address(family, *peer.address)
    assert addresses.local[1:] == peer.client


@each_family
async def test_bytes_go_to_the_host_and_back(page, host):
    with Echo(host) as peer:
        socket = page.connect(*peer.address)
        await socket.send(b"hello")
        assert await socket.recv() == b"hello"


async def test_a_family_that_the_address_is_not_of_is_refused(page, echo_server):
    code = (await failure(page.connect(*echo_server.address, family=6))).code
    assert code in {"EAI_ADDRFAMILY", "EAI_NONAME"}


async def test_a_whole_window_may_be_sent_before_the_connection_stands(page, hash_server):
    socket = page.connect(*hash_server.address)
    data = pattern(WINDOW_INITIAL)
    assert socket.credit == len(data)
    await socket.send(data)
    socket.shutdown()
    assert socket.addresses is None
    assert await socket.read() == hashlib.sha256(data).hexdigest().encode()


async def test_a_refused_port_says_so(page, refusing_port):
    error = await failure(page.connect(*refusing_port.address))
    assert error.code == "ECONNREFUSED"
    assert error.message == f"127.0.0.1:{refusing_port.port}: Connection refused"


async def test_what_was_sent_to_a_refused_port_is_let_go(proxy, page, refusing_port):
    socket = page.connect(*refusing_port.address)
    await socket.send(pattern(WINDOW_INITIAL))
    assert (await failure(socket)).code == "ECONNREFUSED"
    await until(lambda: proxy.sessions.buffered == 0)
    assert proxy.sessions.sockets == 0


async def test_an_unknown_name_says_so(page):
    assert (await failure(page.connect("no-such-name.invalid", 80))).code == "EAI_NONAME"


async def test_a_destination_that_the_policy_refuses_says_how_to_allow_it(echo_server):
    deny = (Rule.parse("127.0.0.1:*"),)
    async with running_proxy(deny=deny) as proxy, proxy.page() as page:
        error = await failure(page.connect(*echo_server.address))
    assert error.code == "EACCES"
    assert error.message.endswith(f"start it with --allow 127.0.0.1:{echo_server.port}")
    assert echo_server.accepted == 0


async def test_a_connect_that_nobody_answers_fails_after_the_time_it_gives(page, unanswering_port):
    start = time.monotonic()
    error = await failure(page.connect(*unanswering_port.address, timeout=200))
    assert error.code == "ETIMEDOUT"
    assert 0.2 <= time.monotonic() - start < 2


@pytest.mark.parametrize("timeout", [0, 600_000])
async def test_a_connect_that_nobody_answers_fails_after_the_proxys_time_at_the_latest(timeout):
    with Unanswering() as port:
        async with running_proxy(connect_timeout=0.2) as proxy, proxy.page() as page:
            start = time.monotonic()
            error = await failure(page.connect(*port.address, timeout=timeout))
    assert error.code == "ETIMEDOUT"
    assert 0.2 <= time.monotonic() - start < 2


async def test_the_next_address_of_a_name_is_tried_when_one_refuses(
    page, refusing_port, echo_server, monkeypatch
):
    ask = socket.getaddrinfo

    def answer(*question):
        if question[0] != "two.test":
            return ask(*question)
        peers = refusing_port, echo_server
        return [info for peer in peers for info in ask(peer.host, peer.port, 0, socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    connected = await page.connect("two.test", 7).connected()
    assert connected.peer == Address(4, *echo_server.address)


async def test_closing_a_socket_that_connects_gives_up_the_attempt(proxy, page, unanswering_port):
    tasks = asyncio.all_tasks()
    socket = page.connect(*unanswering_port.address)
    await until(lambda: asyncio.all_tasks() - tasks)
    assert proxy.sessions.sockets == 1
    socket.close()
    await until(lambda: asyncio.all_tasks() <= tasks)
    assert proxy.sessions.sockets == 0


async def test_resetting_a_socket_that_connects_gives_up_the_attempt(proxy, page, unanswering_port):
    socket = page.connect(*unanswering_port.address)
    await socket.send(b"never delivered")
    await until(lambda: proxy.sessions.sockets == 1)
    socket.reset()
    await until(lambda: proxy.sessions.sockets == 0)


async def test_a_host_that_resets_as_soon_as_it_accepts_is_reported(page, caplog):
    with ResetAfter() as peer:
        for _ in range(50):
            with pytest.raises(ResetError, match="ECONNRESET"):
                await page.connect(*peer.address).recv()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# ── Ends ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_host_may_answer_after_the_pages_end(page, hash_server):
    socket = page.connect(*hash_server.address)
    data = pattern(1_000_001)
    await socket.send(data)
    socket.shutdown()
    assert await socket.read() == hashlib.sha256(data).hexdigest().encode()


async def test_the_page_may_go_on_after_the_hosts_end(page):
    with EndsFirst(b"done") as peer:
        socket = page.connect(*peer.address)
        assert await socket.read() == b"done"
        await socket.send(b"still here")
        socket.shutdown()
        await until(peer.over.is_set)
    assert peer.received == b"still here"


async def test_a_host_that_is_gone_answers_with_a_reset(proxy, page):
    with Source(3) as peer:
        socket = page.connect(*peer.address)
        assert await socket.read() == pattern(3)
        await socket.send(b"is anybody there?")
        await until(lambda: proxy.sessions.sockets == 0)
        await page.resolve("127.0.0.1")  # what the proxy said before has come
        with pytest.raises(ResetError, match="ECONNRESET"):
            await socket.send(b"nobody")


async def test_a_socket_that_ended_both_ways_is_forgotten(proxy, page, hash_server):
    socket = page.connect(*hash_server.address)
    socket.shutdown()
    await socket.read()
    await until(lambda: proxy.sessions.sockets == 0)


async def test_all_data_comes_before_the_end_however_late_the_page_reads(page):
    with Source(1_000_003) as peer:
        socket = page.connect(*peer.address)
        await until(lambda: socket.waiting == WINDOW_INITIAL)
        assert await socket.read() == pattern(1_000_003)


@pytest.mark.parametrize("writing", [False, True])
async def test_data_comes_before_the_reset_that_followed_it(writing):
    # Less than the kernel takes at once, so that the host has sent everything when it resets. The proxy hears
    # of the reset when it reads again, or when what it writes fails.
    async with running_proxy() as proxy, proxy.page(window=10_000) as page:
        with ResetsWhenTold(pattern(40_000)) as peer:
            socket = page.connect(*peer.address)
            await until(lambda: socket.waiting == 10_000)
            peer.reset()
            if writing:
                await socket.send(b"too late")
                await until(lambda: proxy.sessions.buffered == 0)
            data, error = await all_before_a_reset(socket)
        assert data == pattern(40_000)
        assert error.code in {"ECONNRESET", "EPIPE"}
        await until(lambda: proxy.sessions.sockets == 0)


async def test_a_reset_by_the_host_fails_what_the_page_sends(page):
    with ResetsWhenTold(b"!") as peer:
        socket = page.connect(*peer.address)
        await socket.recv()
        peer.reset()
        with pytest.raises(ResetError, match="ECONNRESET"):
            await socket.recv()
        with pytest.raises(ResetError, match="ECONNRESET"):
            await socket.send(b"too late")


async def test_an_end_for_a_host_that_has_just_reset_harms_nobody(proxy, echo_server):
    # Without a window the proxy does not read, and so does not hear of the reset before it writes.
    async with proxy.page(window=0) as page:
        with ResetsWhenTold(b"") as peer:
            socket = page.connect(*peer.address)
            await socket.connected()
            peer.reset()
        socket.shutdown()
        await page.connect(*echo_server.address).connected()
        assert page.over is None


async def test_a_reset_by_the_page_is_a_reset_for_the_host(page):
    with Witness() as peer:
        socket = page.connect(*peer.address)
        await socket.send(b"hello")
        await until(lambda: peer.received == b"hello")
        socket.reset()
        await until(peer.over.is_set)
    assert peer.ending == "RST"


async def test_a_reset_by_the_page_drops_what_the_host_has_not_taken(proxy, page):
    with Witness(receive_buffer=4096) as peer:
        peer.may_read.clear()
        socket = page.connect(*peer.address)
        sent = await fill(socket)
        socket.reset()
        await until(lambda: proxy.sessions.sockets == 0)
        assert proxy.sessions.buffered == 0
        peer.may_read.set()
        await until(peer.over.is_set)
    assert (peer.ending, len(peer.received) < sent) == ("RST", True)


async def test_a_close_by_the_page_is_the_end_for_the_host(page):
    with Witness() as peer:
        socket = page.connect(*peer.address)
        await socket.connected()
        socket.close()
        await until(peer.over.is_set)
    assert peer.ending == "FIN"


async def test_what_was_sent_before_a_close_is_delivered(proxy, page):
    with Witness(receive_buffer=4096) as peer:
        peer.may_read.clear()
        socket = page.connect(*peer.address)
        sent = await fill(socket)
        assert proxy.sessions.buffered >= WINDOW_INITIAL
        socket.close()
        peer.may_read.set()
        await until(peer.over.is_set)
    assert peer.received == pattern(sent)
    assert peer.ending == "FIN"
    await until(lambda: proxy.sessions.sockets == 0)
    assert proxy.sessions.buffered == 0


async def test_what_was_sent_before_an_end_is_delivered(proxy, page):
    with Witness(receive_buffer=4096) as peer:
        peer.may_read.clear()
        socket = page.connect(*peer.address)
        sent = await fill(socket)
        socket.shutdown()
        peer.may_read.set()
        assert await socket.read() == b""
    assert peer.received == pattern(sent)
    assert peer.ending == "FIN"
    await until(lambda: proxy.sessions.sockets == 0)


async def test_a_closed_socket_does_not_wait_forever_for_its_host(proxy, page, monkeypatch):
    monkeypatch.setattr("pynet_browser.proxy.tcp.LINGER", 0.1)
    with Witness(receive_buffer=4096) as peer:
        peer.may_read.clear()
        socket = page.connect(*peer.address)
        sent = await fill(socket)
        socket.close()
        await until(lambda: proxy.sessions.sockets == 0)
        peer.may_read.set()
        await until(peer.over.is_set)
    # Not a FIN: the host must not take what it got for the whole.
    assert (peer.ending, len(peer.received) < sent) == ("RST", True)


async def test_what_the_host_sends_to_a_closed_socket_is_thrown_away(proxy, page):
    with Source(10 << 20) as peer:
        socket = page.connect(*peer.address)
        await socket.recv()
        socket.close()
        await until(lambda: proxy.sessions.sockets == 0)
    assert page.over is None


async def test_frames_for_a_socket_that_was_closed_are_ignored(page, echo_server):
    socket = page.connect(*echo_server.address)
    await socket.connected()
    socket.close()
    await socket.send(b"after the close")
    socket.shutdown()
    socket.shutdown()
    socket.reset()
    other = page.connect(*echo_server.address)
    await other.send(b"hello")
    assert await other.recv() == b"hello"


async def test_ends_and_data_may_race_in_any_order(proxy, page, echo_server):
    for step in range(40):
        socket = page.connect(*echo_server.address)
        await socket.send(b"x" * step)
        if step % 4 == 0:
            await socket.connected()
        [socket.close, socket.reset, socket.shutdown][step % 3]()
        if step % 3 == 2:
            assert await socket.read() == b"x" * step
    await until(lambda: proxy.sessions.sockets == 0)
    assert page.over is None


# ── Amounts ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_much_goes_both_ways_at_once_byte_for_byte(page, echo_server):
    size, step = 32 << 20, 1 << 20
    socket = page.connect(*echo_server.address)

    async def send() -> None:
        for offset in range(0, size, step):
            await socket.send(pattern(step, offset))
        socket.shutdown()

    sending = asyncio.create_task(send())
    received, expected = hashlib.sha256(), hashlib.sha256()
    while data := await socket.recv():
        received.update(data)
    await sending
    for offset in range(0, size, step):
        expected.update(pattern(step, offset))
    assert received.digest() == expected.digest()


async def test_two_hundred_sockets_work_at_once(page, echo_server):
    async def converse(number: int) -> None:
        socket = page.connect(*echo_server.address)
        data = pattern(5000, number * 4)
        await socket.send(data)
        socket.shutdown()
        assert await socket.read() == data

    await asyncio.gather(*(converse(number) for number in range(200)))
