from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket

import pytest

from pynet_browser.fields import Address
from pynet_browser.frames import Reset
from pynet_browser.proxy.config import Limits
from pynet_browser.proxy.policy import Rule
from pynet_browser.proxy.tcp import HostSocket
from tests.peers import pattern
from tests.proxy.client import FailedError, PageSocket, ResetError
from tests.proxy.hosts import Guest, Witness
from tests.proxy.running import EVERY_LOOP, listening, running_proxy, until
from tests.proxy.test_tcp import each_family

pytestmark = pytest.mark.asyncio(loop_factories=EVERY_LOOP)


@pytest.fixture
async def proxy():
    """A proxy where pages may listen on every port of this machine, for this machine."""
    async with running_proxy(listen=listening("*")) as proxy:
        yield proxy


async def failure(request) -> FailedError:
    with pytest.raises(FailedError) as caught:
        await request
    return caught.value


async def refusal(socket: PageSocket) -> ResetError:
    with pytest.raises(ResetError) as caught:
        await socket.connected()
    return caught.value


# ── Accepting ─────────────────────────────────────────────────────────────────────────────────────────────


@each_family
async def test_a_connection_comes_in_with_the_true_addresses_of_both_ends(page, host):
    family = 6 if ":" in host else 4
    listener = page.stream(family)
    local = await listener.bind(host)
    assert await listener.listen() == local
    assert local[:2] == (family, host)
    async with Guest.at(local) as guest:
        ends = await (await listener.accept()).connected()
        assert (ends.local, ends.peer) == (local, Address(family, *guest.address))


async def test_what_a_connection_brings_along_is_there_and_may_be_answered(page):
    listener = page.stream()
    async with Guest.at(await listener.listen()) as guest:
        guest.writer.write(b"hello")
        socket = await listener.accept()
        assert await socket.recv() == b"hello"
        await socket.send(b"hello to you")
        assert await guest.reader.readexactly(12) == b"hello to you"


async def test_accepted_connections_have_even_ids_each_larger_than_all_before(page):
    listeners = [page.stream() for _ in range(2)]
    addresses = [await listener.listen() for listener in listeners]
    ids = []
    for _ in range(3):
        for listener, address in zip(listeners, addresses, strict=True):
            async with Guest.at(address):
                socket = await listener.accept()
                ids.append(socket.id)
                socket.close()
    assert ids == [2, 4, 6, 8, 10, 12]


async def test_much_goes_both_ways_on_an_accepted_connection(page):
    listener = page.stream()
    async with Guest.at(await listener.listen()) as guest:
        data = pattern(8 << 20)
        guest.writer.write(data)
        guest.writer.write_eof()
        socket = await listener.accept()
        received = hashlib.sha256()

        async def echo() -> None:
            while piece := await socket.recv():
                received.update(piece)
                await socket.send(piece)
            socket.shutdown()

        echoing = asyncio.create_task(echo())
        assert await guest.reader.read(-1) == data
        await echoing
    assert received.digest() == hashlib.sha256(data).digest()


async def test_a_connection_that_ends_both_ways_is_forgotten(proxy, page):
    listener = page.stream()
    async with Guest.at(await listener.listen()) as guest:
        socket = await listener.accept()
        guest.writer.write_eof()
        assert await socket.recv() == b""
        socket.shutdown()
        assert await guest.reader.read() == b""
        await until(lambda: proxy.sessions.sockets == 1)


async def test_resets_go_both_ways(page):
    listener = page.stream()
    address = await listener.listen()
    async with Guest.at(address) as guest:
        socket = await listener.accept()
        guest.reset()
        with pytest.raises(ResetError, match="ECONNRESET"):
            await socket.recv()
    async with Guest.at(address) as guest:
        (await listener.accept()).reset()
        with pytest.raises(ConnectionResetError):
            await guest.reader.read()


async def test_what_a_page_does_not_want_is_reset_as_soon_as_it_comes_in(proxy, page):
    listener = page.stream()
    address = await listener.listen()
    page.forget(listener)
    for _ in range(10):
        async with Guest.at(address) as guest:
            with pytest.raises(ConnectionResetError):
                await guest.reader.read()
    await until(lambda: proxy.sessions.sockets == 1)


async def test_a_connection_that_is_reset_before_it_was_taken_over_is_reset_for_its_guest_too(
    page, monkeypatch
):
    adopt = HostSocket.adopt

    def adopt_and_reset(socket, *connection) -> None:
        adopt(socket, *connection)
        socket.receive(Reset(socket.id, "ECONNRESET", ""))

    monkeypatch.setattr(HostSocket, "adopt", adopt_and_reset)
    async with Guest.at(await page.stream().listen()) as guest:
        with pytest.raises(ConnectionResetError):
            await guest.reader.read()


async def test_a_guest_that_is_gone_before_it_is_accepted_is_reported_and_harms_nobody(proxy, page):
    listener = page.stream()
    address = await listener.listen(2)
    async with Guest.at(address), Guest.at(address):
        # These wait in the system's queue, since the page has taken nothing yet.
        async with Guest.at(address) as guest:
            guest.reset()
        async with Guest.at(address) as guest:
            guest.writer.write(b"bye")
        async with Guest.at(address):
            sockets = [await listener.accept() for _ in range(5)]
            with pytest.raises(ResetError, match="ECONNRESET"):
                await sockets[2].recv()
            assert await sockets[3].recv() == b"bye"
            await sockets[4].send(b"hello")


# ── How many ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_no_more_is_accepted_than_the_page_has_room_for_and_nobody_is_turned_away(proxy, page):
    listener = page.stream()
    address = await listener.listen(2)
    async with contextlib.AsyncExitStack() as stack:
        guests = [await stack.enter_async_context(Guest.at(address)) for _ in range(5)]
        await until(lambda: listener.queue.qsize() == 2)
        await page.resolve("127.0.0.1")  # whatever was accepted before has been told by now
        assert (listener.queue.qsize(), proxy.sessions.sockets) == (2, 3)
        for number, guest in enumerate(guests):
            guest.writer.write(bytes([number]))
        assert [await (await listener.accept()).recv() for _ in range(5)] == [
            b"\0",
            b"\1",
            b"\2",
            b"\3",
            b"\4",
        ]


async def test_listening_again_changes_how_many_may_wait(page):
    listener = page.stream()
    address = await listener.listen(2)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(5):
            await stack.enter_async_context(Guest.at(address))
        assert await listener.listen(4) == address
        await until(lambda: listener.queue.qsize() == 4)
        assert await listener.listen(2) == address
        for _ in range(2):
            await listener.accept()
        await page.resolve("127.0.0.1")
        assert listener.queue.qsize() == 2  # no more than may wait now, though one is there
        await listener.accept()
        await until(lambda: listener.queue.qsize() == 2)


async def test_what_comes_in_waits_while_the_session_has_all_its_sockets():
    limits = Limits(sockets_per_session=3)
    async with running_proxy(limits, listen=listening("*")) as proxy, proxy.page() as page:
        listener = page.stream()
        address = await listener.listen()
        async with Guest.at(address), Guest.at(address), Guest.at(address) as third:
            first, _ = await listener.accept(), await listener.accept()
            third.writer.write(b"still here")
            assert (await refusal(page.connect("127.0.0.1", 9))).code == "EMFILE"
            assert listener.queue.empty()
            first.close()
            assert await (await listener.accept()).recv() == b"still here"


async def test_what_comes_in_waits_while_all_sessions_have_all_their_sockets():
    async with running_proxy(Limits(sockets=3), listen=listening("*")) as proxy, proxy.page() as page:
        listener = page.stream()
        async with proxy.page() as other:
            taken = [other.stream() for _ in range(2)]
            for each in taken:
                await each.bind()
            async with Guest.at(await listener.listen()) as guest:
                guest.writer.write(b"still here")
                await other.resolve("127.0.0.1")
                assert listener.queue.empty()
                taken[0].close()
                assert await (await listener.accept()).recv() == b"still here"


async def test_nothing_is_accepted_while_the_session_has_no_room(proxy, page):
    listener = page.stream()
    address = await listener.listen()
    [session] = proxy.sessions
    page.cut()
    await page.lost()
    session.send_data(99, memoryview(bytes(600_000)))  # more than may wait for a carrier
    async with Guest.at(address) as guest, Guest.at(address):
        guest.writer.write(b"hello")
        await guest.writer.drain()
        assert proxy.sessions.sockets == 1
        assert not session.socket(listener.id)._accepting
        await page.open()
        assert await (await listener.accept()).recv() == b"hello"
        await listener.accept()


# ── What it cannot do ─────────────────────────────────────────────────────────────────────────────────────


async def test_what_a_stream_socket_cannot_do_has_linuxs_errno(page, echo_server):
    taken = page.stream()
    assert (await failure(taken.bind(*echo_server.address))).code == "EADDRINUSE"
    assert (await failure(taken.bind("::1"))).code == "EAFNOSUPPORT"
    await taken.bind()
    assert (await failure(taken.bind())).code == "EINVAL"
    datagrams = page.datagrams()
    datagrams.id = taken.id
    assert (await failure(datagrams.associate("127.0.0.1", 9))).code == "EOPNOTSUPP"
    connected, as_opened = page.connect(*echo_server.address), page.stream()
    await connected.connected()
    as_opened.id = datagrams.id = connected.id
    assert (await failure(as_opened.bind())).code == "EINVAL"
    assert (await failure(as_opened.listen())).code == "EINVAL"
    assert (await failure(datagrams.associate("127.0.0.1", 9))).code == "EOPNOTSUPP"
    as_opened.id = 99
    assert (await failure(as_opened.listen())).code == "EBADF"


async def test_a_family_that_does_not_exist_is_refused(page):
    listener, datagrams = page.stream(5), page.datagrams(0)
    await until(lambda: listener.error and datagrams.error)
    assert {listener.error.code, datagrams.error.code} == {"EAFNOSUPPORT"}


async def test_where_the_event_loop_cannot_watch_sockets_a_page_is_told(page, echo_server, monkeypatch):
    monkeypatch.setattr(asyncio, "ProactorEventLoop", type(asyncio.get_running_loop()), raising=False)
    listener, datagrams = page.stream(), page.datagrams()
    assert (await failure(listener.listen())).code == "EOPNOTSUPP"
    await until(lambda: datagrams.error)
    assert datagrams.error.code == "EOPNOTSUPP"
    await page.connect_opened(listener, *echo_server.address).connected()


# ── Ends ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_listener_that_is_closed_refuses_and_what_was_accepted_lives_on(page):
    listener = page.stream()
    address = await listener.listen(1)
    async with Guest.at(address) as guest, Guest.at(address) as waiting:
        socket = await listener.queue.get()
        listener.close()
        with pytest.raises(ConnectionResetError):
            await waiting.reader.read()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address[1:])
        await socket.send(b"hello")
        assert await guest.reader.readexactly(5) == b"hello"


async def test_the_port_of_a_closed_listener_may_be_had_again(page):
    listener = page.stream()
    address = await listener.listen()
    listener.close()
    again = page.stream()
    assert await again.bind(*address[1:]) == address
    assert await again.listen() == address


async def test_a_page_that_leaves_takes_its_listeners_along(proxy):
    async with proxy.page() as page:
        listener = page.stream()
        address = await listener.listen()
        guest = await asyncio.open_connection(*address[1:])
        await listener.accept()
    await until(lambda: proxy.sessions.sockets == 0)
    assert await guest[0].read() == b""
    guest[1].close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address[1:])


# ── Connecting from an address ────────────────────────────────────────────────────────────────────────────


@each_family
async def test_a_bound_socket_connects_from_its_address(host):
    async with running_proxy() as proxy, proxy.page() as page:
        with Witness(host) as peer:
            opened = page.stream(6 if ":" in host else 4)
            local = await opened.bind(host)
            socket = page.connect_opened(opened, *peer.address)
            assert (await socket.connected()).local == local
            await socket.send(b"hello")
            socket.close()
            await until(peer.over.is_set)
        assert peer.client == local[1:]
        assert peer.received == b"hello"


async def test_a_socket_that_was_only_opened_connects_too(page, echo_server):
    socket = page.connect_opened(page.stream(), *echo_server.address)
    await socket.send(b"hello")
    assert await socket.recv() == b"hello"


async def test_a_name_is_connected_to_at_its_first_address_of_the_sockets_family(
    page, echo_server, refusing_port, monkeypatch
):
    ask = socket.getaddrinfo

    def answer(*question):
        if question[0] != "two.test":
            return ask(*question)
        assert question[2] == socket.AF_INET
        peers = echo_server, refusing_port
        return [info for peer in peers for info in ask(peer.host, peer.port, 0, socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    opened = page.stream()
    local = await opened.bind("127.0.0.1")
    ends = await page.connect_opened(opened, "two.test", 7).connected()
    assert (ends.local, ends.peer) == (local, Address(4, *echo_server.address))


async def test_a_connect_that_fails_ends_the_socket_and_gives_its_port_back(proxy, page, refusing_port):
    opened = page.stream()
    local = await opened.bind("127.0.0.1")
    error = await refusal(page.connect_opened(opened, *refusing_port.address))
    assert error.code == "ECONNREFUSED"
    assert error.message == f"127.0.0.1:{refusing_port.port}: Connection refused"
    assert (await failure(opened.listen())).code == "EBADF"
    assert proxy.sessions.sockets == 0
    assert await page.stream().bind(*local[1:]) == local


async def test_the_policy_is_asked_about_the_destination(echo_server):
    deny = (Rule.parse("127.0.0.1:*"),)
    async with running_proxy(deny=deny) as proxy, proxy.page() as page:
        error = await refusal(page.connect_opened(page.stream(), *echo_server.address))
    assert error.code == "EACCES"
    assert error.message.endswith(f"start it with --allow 127.0.0.1:{echo_server.port}")


@pytest.mark.parametrize("soon", [True, False])
async def test_closing_a_socket_that_connects_gives_its_port_back(proxy, page, unanswering_port, soon):
    opened = page.stream()
    local = await opened.bind("127.0.0.1")
    socket = page.connect_opened(opened, *unanswering_port.address)
    if not soon:
        await page.resolve("127.0.0.1")
    socket.close()
    await until(lambda: proxy.sessions.sockets == 0)
    assert await page.stream().bind(*local[1:]) == local


async def test_a_socket_that_could_not_be_opened_cannot_connect_and_that_is_all(echo_server):
    async with running_proxy(Limits(sockets_per_session=1)) as proxy, proxy.page() as page:
        first = page.stream()
        second = page.stream()
        page.connect_opened(second, *echo_server.address)  # before the page has heard
        await first.bind()
        assert page.over is None
        assert echo_server.accepted == 0
