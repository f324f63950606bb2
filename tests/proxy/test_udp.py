from __future__ import annotations

import asyncio
import select
import time

import pytest

from pynet_browser.fields import Address
from pynet_browser.frames import Associate, Datagram
from pynet_browser.proxy.config import Limits
from pynet_browser.proxy.endpoint import Endpoint
from pynet_browser.proxy.policy import Rule
from pynet_browser.proxy.udp import DATAGRAM_MAX, FAULTS_PER_SECOND
from tests.peers import pattern
from tests.proxy.client import FailedError, Page
from tests.proxy.hosts import UdpEcho, UdpHost
from tests.proxy.running import EVERY_LOOP, RunningProxy, listening, running_proxy, until
from tests.proxy.test_tcp import each_family
from tests.proxy.unconnected import FaultError, PageDatagrams
from tests.servers.process import free_port

pytestmark = pytest.mark.asyncio(loop_factories=EVERY_LOOP)


@pytest.fixture
async def proxy():
    """A proxy where pages may not listen."""
    async with running_proxy() as proxy:
        yield proxy


@pytest.fixture
async def host():
    with UdpHost() as host:
        yield host


@pytest.fixture
async def echo():
    with UdpEcho() as echo:
        yield echo


async def failure(request) -> FailedError:
    with pytest.raises(FailedError) as caught:
        await request
    return caught.value


async def fault(socket: PageDatagrams) -> FaultError:
    with pytest.raises(FaultError) as caught:
        await socket.recv()
    return caught.value


def on_host(proxy: RunningProxy, socket: PageDatagrams) -> Endpoint:
    """What a socket of the only page is on the proxy's host."""
    [session] = proxy.sessions
    endpoint = session.socket(socket.id)
    assert endpoint
    return endpoint


async def introduced(page: Page, host: UdpHost) -> tuple[PageDatagrams, Address]:
    """A socket that the host may write to, and where it is."""
    socket = page.datagrams()
    socket.send(b"here I am", *host.address)
    _, source = await host.recv()
    return socket, Address(4, *source)


# ── Both ways ─────────────────────────────────────────────────────────────────────────────────────────────


@each_family
async def test_a_datagram_goes_to_its_host_and_back(page, host):
    family = 6 if ":" in host else 4
    with UdpEcho(host) as echo:
        sender = page.datagrams(family)
        sender.send(b"hello", *echo.address)
        assert await sender.recv() == (b"hello", Address(family, *echo.address))


async def test_a_socket_of_both_families_reaches_ipv4_by_its_mapped_address(page, echo):
    sender = page.datagrams(6)
    await page.set_option(sender, "IPV6_V6ONLY", 0)
    sender.send(b"hello", f"::ffff:{echo.address[0]}", echo.address[1])
    assert await sender.recv() == (b"hello", Address(6, "::ffff:127.0.0.1", echo.address[1]))


async def test_datagrams_keep_their_bounds_whatever_their_size(page, echo):
    sender = page.datagrams()
    for size in (0, 1, 1472, 9000, DATAGRAM_MAX):
        sender.send(pattern(size), *echo.address)
        data, _ = await sender.recv()
        assert data == pattern(size)


async def test_a_datagram_that_is_too_large_is_a_fault_and_nothing_more(page, echo):
    sender = page.datagrams()
    sender.send(bytes(DATAGRAM_MAX + 1), *echo.address)
    assert (await fault(sender)).code == "EMSGSIZE"
    sender.send(b"hello", *echo.address)
    assert (await sender.recv())[0] == b"hello"


async def test_a_bound_socket_sends_from_the_address_it_was_told(page, host):
    sender = page.datagrams()
    local = await sender.bind("127.0.0.1")
    assert local.port
    sender.send(b"hello", *host.address)
    assert await host.recv() == (b"hello", local[1:])


async def test_every_address_may_be_bound_to_send_from(page, host):
    sender = page.datagrams()
    local = await sender.bind()
    assert local.host == "0.0.0.0"
    sender.send(b"hello", *host.address)
    assert (await host.recv())[1] == ("127.0.0.1", local.port)


async def test_who_sends_to_every_address_reaches_this_machine_and_hears_its_answer(page, echo):
    sender = page.datagrams()
    sender.send(b"hello", "0.0.0.0", echo.address[1])
    assert await sender.recv() == (b"hello", Address(4, *echo.address))


async def test_a_closed_socket_gives_its_port_back_and_says_nothing_more(proxy, page, host):
    first, address = await introduced(page, host)
    first.close()
    await until(lambda: proxy.sessions.sockets == 0)
    with UdpHost(*address[1:]):
        pass
    host.send(b"too late", *address[1:])
    first.send(b"after the close", *host.address)
    second, _ = await introduced(page, host)
    assert second.queue.empty()
    assert page.over is None


@pytest.mark.parametrize(
    ("address", "code"),
    [
        pytest.param(Address(6, "::1", 9), "EAFNOSUPPORT", id="other family"),
        pytest.param(Address(4, "localhost", 9), "EINVAL", id="name"),
        pytest.param(Address(4, "127.0.0.1\0", 9), "EINVAL", id="NUL"),
        pytest.param(Address(4, "", 9), "EINVAL", id="nothing"),
        pytest.param(Address(4, "127.0.0.1", 0), "EINVAL", id="port 0"),
    ],
)
async def test_what_is_no_destination_is_a_fault(page, address, code):
    sender = page.datagrams()
    sender.send(b"hello", *address[1:])
    assert (await fault(sender)).code == code


# ── Who is heard ──────────────────────────────────────────────────────────────────────────────────────────


async def test_where_pages_may_not_listen_a_socket_hears_only_those_it_has_sent_to(page, host):
    socket, address = await introduced(page, host)
    with UdpHost() as stranger:
        stranger.send(b"from a stranger", *address[1:])
        host.send(b"from the host", *address[1:])
        assert await socket.recv() == (b"from the host", Address(4, *host.address))
        socket.send(b"hello", *stranger.address)
        await stranger.recv()
        stranger.send(b"from a friend", *address[1:])
        assert await socket.recv() == (b"from a friend", Address(4, *stranger.address))


async def test_where_pages_may_listen_a_socket_hears_everybody():
    port = free_port()
    async with running_proxy(listen=listening(f"udp:{port}")) as proxy, proxy.page() as page:
        socket = page.datagrams()
        local = await socket.bind("127.0.0.1", port)
        with UdpHost() as stranger:
            stranger.send(b"hello", *local[1:])
            assert await socket.recv() == (b"hello", Address(4, *stranger.address))


async def test_whoever_was_heard_may_be_answered_though_nothing_may_be_sent_there(host):
    deny = (Rule.parse(f"udp:127.0.0.1:{host.address[1]}"),)
    async with running_proxy(deny=deny, listen=listening("*")) as proxy, proxy.page() as page:
        socket = page.datagrams()
        local = await socket.bind("127.0.0.1")
        socket.send(b"unasked", *host.address)
        assert (await fault(socket)).code == "EACCES"
        host.send(b"a question", *local[1:])
        _, source = await socket.recv()
        socket.send(b"an answer", *source[1:])
        assert (await host.recv())[0] == b"an answer"


async def test_who_was_refused_is_not_heard_either(host):
    deny = (Rule.parse(f"udp:127.0.0.1:{host.address[1]}"),)
    async with running_proxy(deny=deny) as proxy, proxy.page() as page:
        with UdpHost() as other:
            socket, address = await introduced(page, other)
            socket.send(b"unasked", *host.address)
            assert (await fault(socket)).code == "EACCES"
            host.send(b"all the same", *address[1:])
            other.send(b"hello", *address[1:])
            assert (await socket.recv())[0] == b"hello"


async def test_on_every_address_a_socket_hears_this_machine_where_the_rules_say_so():
    async with running_proxy(listen=listening("udp:*")) as proxy, proxy.page() as page:
        socket = page.datagrams()
        local = await socket.bind()
        assert local.host == "0.0.0.0"
        with UdpHost() as stranger:
            stranger.send(b"hello", "127.0.0.1", local.port)
            assert await socket.recv() == (b"hello", Address(4, *stranger.address))


async def test_a_socket_that_was_never_bound_hears_strangers_where_any_port_may_listen(host):
    async with running_proxy(listen=listening("udp:*")) as proxy, proxy.page() as page:
        socket, address = await introduced(page, host)
        with UdpHost() as stranger:
            stranger.send(b"hello", *address[1:])
            assert await socket.recv() == (b"hello", Address(4, *stranger.address))


async def test_only_so_many_peers_are_remembered(page, host, monkeypatch):
    monkeypatch.setattr("pynet_browser.proxy.peers.PEERS_MAX", 2)
    socket, address = await introduced(page, host)
    with UdpHost() as second, UdpHost() as third:
        socket.send(b"hello", *second.address)
        socket.send(b"hello again", *host.address)
        socket.send(b"hello", *third.address)
        await third.recv()
        second.send(b"forgotten", *address[1:])
        third.send(b"from the third", *address[1:])
        host.send(b"from the host", *address[1:])
        assert [(await socket.recv())[0] for _ in range(2)] == [b"from the third", b"from the host"]


# ── What the policy says ──────────────────────────────────────────────────────────────────────────────────


async def test_a_destination_that_the_policy_refuses_is_a_fault_that_says_how_to_allow_it(host):
    deny = (Rule.parse("127.0.0.0/8:*"),)
    async with running_proxy(deny=deny) as proxy, proxy.page() as page:
        socket = page.datagrams()
        for _ in range(2):
            socket.send(b"hello", *host.address)
            error = await fault(socket)
            assert error.code == "EACCES"
            assert error.message.endswith(f"start it with --allow 127.0.0.1:{host.address[1]}")
    assert not host.heard()


async def test_many_refused_datagrams_are_not_answered_by_as_many_faults(host):
    deny = (Rule.parse("127.0.0.0/8:*"),)
    async with running_proxy(deny=deny) as proxy, proxy.page() as page:
        socket = page.datagrams()
        for _ in range(1000):
            socket.send(b"hello", *host.address)
        await until(lambda: socket.queue.qsize() + socket.dropped == 1000)
        assert FAULTS_PER_SECOND <= socket.queue.qsize() < 3 * FAULTS_PER_SECOND


@pytest.mark.parametrize(
    ("rules", "bound", "port"),
    [
        pytest.param((), "127.0.0.1", 5353, id="no rule"),
        pytest.param(("tcp:5353",), "127.0.0.1", 5353, id="rule of the other protocol"),
        pytest.param(("udp:5300-5352",), "127.0.0.1", 5353, id="rule of other ports"),
        pytest.param(("udp:127.0.0.2:5353",), "127.0.0.1", 5353, id="rule of another address"),
    ],
)
async def test_a_port_where_pages_may_not_listen_cannot_be_bound(rules, bound, port):
    async with running_proxy(listen=listening(*rules)) as proxy, proxy.page() as page:
        error = await failure(page.datagrams().bind(bound, port))
    assert error.code == "EACCES"
    assert error.message == (
        "the proxy does not let pages listen on 127.0.0.1:5353; start it with --listen udp:5353"
    )


async def test_every_address_becomes_loopback_where_the_rules_allow_no_more():
    port = free_port()
    async with running_proxy(listen=listening(f"udp:{port}")) as proxy, proxy.page() as page:
        assert await page.datagrams().bind("", port) == Address(4, "127.0.0.1", port)


async def test_every_address_may_be_bound_where_the_rules_allow_it():
    port = free_port()
    async with running_proxy(listen=listening(f"udp:0.0.0.0:{port}")) as proxy, proxy.page() as page:
        assert await page.datagrams().bind("", port) == Address(4, "0.0.0.0", port)


async def test_what_the_system_refuses_has_its_errno(host):
    async with running_proxy(listen=listening("*:*")) as proxy, proxy.page() as page:
        assert (await failure(page.datagrams().bind(*host.address))).code == "EADDRINUSE"
        assert (await failure(page.datagrams().bind("192.0.2.1", 5353))).code == "EADDRNOTAVAIL"
        assert (await failure(page.datagrams().bind("::1", 5353))).code == "EAFNOSUPPORT"


async def test_what_a_datagram_socket_cannot_do_has_linuxs_errno(page):
    socket = page.datagrams()
    await socket.bind()
    assert (await failure(socket.bind())).code == "EINVAL"
    listener = page.stream()
    listener.id = socket.id
    assert (await failure(listener.listen())).code == "EOPNOTSUPP"


# ── One peer ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_associated_socket_hears_its_peer_alone(host):
    async with running_proxy(listen=listening("*")) as proxy, proxy.page() as page:
        socket = page.datagrams()
        await socket.bind("127.0.0.1")
        with UdpHost() as other:
            ends = await socket.associate(*host.address)
            assert ends.peer == Address(4, *host.address)
            other.send(b"from another", *ends.local[1:])
            host.send(b"from the peer", *ends.local[1:])
            assert await socket.recv() == (b"from the peer", ends.peer)


async def test_what_came_from_others_before_and_was_not_read_is_not_passed_on(host):
    async with running_proxy(listen=listening("*")) as proxy, proxy.page() as page:
        socket = page.datagrams()
        local = await socket.bind("127.0.0.1")
        with UdpHost() as other:
            other.send(b"from another", *local[1:])
            on_host(proxy, socket).answer(Associate(1, socket.id, host.address[1], "127.0.0.1"), "127.0.0.1")
            host.send(b"from the peer", *local[1:])
            assert (await socket.recv())[0] == b"from the peer"


async def test_an_associated_socket_sends_to_others_too_and_does_not_hear_them(page, host):
    socket = page.datagrams()
    ends = await socket.associate(*host.address)
    with UdpEcho() as other:
        socket.send(b"hello", *other.address)
        socket.send(b"hello", *host.address)
        assert (await host.recv())[0] == b"hello"
        host.send(b"from the peer", *ends.local[1:])
        assert (await socket.recv())[0] == b"from the peer"


async def test_a_socket_may_be_associated_with_another_peer(page, host):
    with UdpHost() as second:
        socket = page.datagrams()
        await socket.associate(*host.address)
        await socket.associate(*second.address)
        socket.send(b"hello", *second.address)
        assert (await second.recv())[0] == b"hello"


async def test_a_peer_without_that_port_is_a_fault_each_time(page, refusing_port):
    port = free_port()
    socket = page.datagrams()
    await socket.associate("127.0.0.1", port)
    for _ in range(3):
        socket.send(b"is anybody there", "127.0.0.1", port)
        assert (await fault(socket)).code == "ECONNREFUSED"


async def test_a_refusal_that_a_datagram_meets_on_its_way_out_does_not_cost_it(proxy, page):
    port = free_port()
    socket = page.datagrams()
    await socket.associate("127.0.0.1", port)
    address = Address(4, "127.0.0.1", port)
    endpoint = on_host(proxy, socket)
    # In one turn of the loop, so that the proxy does not read the refusal first.
    endpoint.receive(Datagram(socket.id, address, b"nobody is there"))
    with UdpHost(port=port) as host:
        endpoint.receive(Datagram(socket.id, address, b"somebody is"))
        assert (await host.recv())[0] == b"somebody is"
    assert (await fault(socket)).code == "ECONNREFUSED"


async def test_a_name_may_be_associated_with(page, echo):
    socket = page.datagrams()
    ends = await socket.associate("localhost", echo.address[1])
    socket.send(b"hello", *ends.peer[1:])
    assert await socket.recv() == (b"hello", Address(4, *echo.address))


async def test_a_peer_that_cannot_be_had_says_why(echo):
    deny = (Rule.parse(f"localhost:{echo.address[1]}"),)
    async with running_proxy(deny=deny) as proxy, proxy.page() as page:
        socket = page.datagrams()
        error = await failure(socket.associate("localhost", echo.address[1]))
        assert error.code == "EACCES"
        assert error.message.endswith(f"start it with --allow 127.0.0.1:{echo.address[1]}")
        assert (await failure(socket.associate("no-such-name.invalid", 9))).code == "EAI_NONAME"
        assert (await failure(socket.associate("::1", 9))).code == "EAFNOSUPPORT"
        ends = await socket.associate(*echo.address)
        assert ends.peer == Address(4, *echo.address)


# ── How many ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_the_page_sends_beyond_its_rate_is_dropped_and_counted(host):
    limits = Limits(datagrams_per_second=1, datagram_burst=5)
    async with running_proxy(limits) as proxy, proxy.page() as page:
        socket = page.datagrams()
        start = time.monotonic()
        for _ in range(20):
            socket.send(b"hello", *host.address)
        await until(lambda: socket.dropped + host.heard() == 20)
        assert 5 <= host.heard() <= 6 + (time.monotonic() - start)


async def test_what_hosts_send_beyond_the_rate_is_dropped_and_counted(host):
    limits = Limits(datagrams_per_second=1, datagram_burst=5)
    async with running_proxy(limits) as proxy, proxy.page() as page:
        socket, address = await introduced(page, host)
        start = time.monotonic()
        for _ in range(20):
            host.send(b"hello", *address[1:])
        await until(lambda: socket.dropped + socket.queue.qsize() == 20)
        assert 5 <= socket.queue.qsize() <= 6 + (time.monotonic() - start)


async def test_what_finds_no_room_in_the_session_is_dropped_and_counted(proxy, page, host):
    socket, address = await introduced(page, host)
    page.cut()
    await page.lost()
    there = on_host(proxy, socket)._socket  # type: ignore[attr-defined]
    for _ in range(20):
        for _ in range(10):  # the system has room for some only
            host.send(pattern(10_000), *address[1:])
        await until(lambda: not select.select([there], [], [], 0)[0])
    assert proxy.sessions.buffered < 600_000
    await page.open()
    await until(lambda: socket.dropped and socket.queue.qsize() + socket.dropped == 200)
    host.send(b"hello", *address[1:])
    while (await socket.recv())[0] != b"hello":
        pass


async def test_a_count_is_told_ahead_of_the_next_datagram(host):
    limits = Limits(datagrams_per_second=50, datagram_burst=1)
    async with running_proxy(limits) as proxy, proxy.page() as page:
        socket, address = await introduced(page, host)
        host.send(b"first", *address[1:])
        host.send(b"dropped", *address[1:])
        await socket.recv()
        while socket.queue.empty():
            dropped = socket.dropped
            host.send(b"more", *address[1:])
            await asyncio.sleep(0.005)
        assert socket.dropped >= dropped >= 0
        assert socket.dropped > 0
