from __future__ import annotations

import asyncio
import socket
from typing import NamedTuple

import pytest

from pynet_browser.proxy.endpoint import Endpoint
from pynet_browser.proxy.policy import Rule
from pynet_browser.window import WINDOW_INITIAL, WINDOW_MIN
from tests.peers import pattern
from tests.proxy.client import FailedError, ResetError
from tests.proxy.hosts import ResetsWhenTold, UdpHost, Witness
from tests.proxy.running import EVERY_LOOP, listening, running_proxy, until
from tests.proxy.unconnected import FaultError
from tests.servers.process import free_port

pytestmark = pytest.mark.asyncio(loop_factories=EVERY_LOOP)

GROUP = "239.255.77.7"


@pytest.fixture
async def proxy():
    async with running_proxy(listen=listening("*")) as proxy:
        yield proxy


async def code_of(request) -> str:
    with pytest.raises(FailedError) as caught:
        await request
    return caught.value.code


def on_host(proxy, id_: int) -> Endpoint:
    """What a socket of the only page is on the proxy's host."""
    [session] = proxy.sessions
    endpoint: Endpoint = session.socket(id_)
    return endpoint


def option_of(proxy, id_: int, level: int, option: int) -> int:
    """The value that an option of a socket has on the proxy's host."""
    endpoint = on_host(proxy, id_)
    sock = getattr(endpoint, "_socket", None) or endpoint._transport.get_extra_info("socket")  # type: ignore[attr-defined]
    value: int = sock.getsockopt(level, option)
    return value


class Setting(NamedTuple):
    name: str
    level: int
    value: int

    def holds(self, proxy, id_: int) -> bool:
        """Whether a socket of the only page has it on the proxy's host."""
        return option_of(proxy, id_, self.level, getattr(socket, self.name)) == self.value


SET = [
    ("SO_REUSEADDR", socket.SOL_SOCKET, 1),
    ("SO_REUSEPORT", socket.SOL_SOCKET, 1),
    ("SO_KEEPALIVE", socket.SOL_SOCKET, 1),
    ("SO_BROADCAST", socket.SOL_SOCKET, 1),
    ("TCP_NODELAY", socket.IPPROTO_TCP, 0),
    ("TCP_KEEPIDLE", socket.IPPROTO_TCP, 77),
    ("TCP_KEEPINTVL", socket.IPPROTO_TCP, 7),
    ("TCP_KEEPCNT", socket.IPPROTO_TCP, 5),
    ("TCP_USER_TIMEOUT", socket.IPPROTO_TCP, 4321),
    ("IP_TTL", socket.IPPROTO_IP, 9),
    ("IP_TOS", socket.IPPROTO_IP, 0x10),
]
each_option = pytest.mark.parametrize("setting", [Setting(*each) for each in SET], ids=lambda each: each.name)


# ── On which sockets ──────────────────────────────────────────────────────────────────────────────────────


@each_option
async def test_an_option_of_a_connection_is_set_on_the_host(proxy, page, silent_server, setting):
    connection = page.connect(*silent_server.address)
    await connection.connected()
    await page.set_option(connection, setting.name, setting.value)
    assert setting.holds(proxy, connection.id)


@each_option
async def test_an_option_set_while_it_connects_holds_when_the_connection_stands(
    proxy, page, silent_server, setting
):
    connection = page.connect(*silent_server.address)
    await page.set_option(connection, setting.name, setting.value)
    await connection.connected()
    assert setting.holds(proxy, connection.id)


async def test_an_option_is_answered_while_nobody_has_answered_the_connect(page, unanswering_port):
    connection = page.connect(*unanswering_port.address)
    await page.set_option(connection, "TCP_NODELAY", 0)
    assert await code_of(page.set_option(connection, "TCP_KEEPIDLE", 0)) == "EINVAL"
    connection.close()


@each_option
async def test_an_option_of_a_listener_holds_for_what_it_accepts(proxy, page, setting):
    listener = page.stream()
    await page.set_option(listener, setting.name, setting.value)
    address = await listener.listen()
    assert setting.holds(proxy, listener.id)
    _, writer = await asyncio.open_connection(*address[1:])
    connection = await listener.accept()
    writer.write(b"!")
    assert await connection.recv() == b"!"
    assert setting.holds(proxy, connection.id)
    writer.close()


@each_option
async def test_an_option_set_before_connecting_holds_for_the_connection(proxy, page, silent_server, setting):
    opened = page.stream()
    await page.set_option(opened, setting.name, setting.value)
    connection = page.connect_opened(opened, *silent_server.address)
    await connection.connected()
    assert setting.holds(proxy, connection.id)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IPV6_V6ONLY", 1),
        ("IPV6_UNICAST_HOPS", 9),
        ("IPV6_TCLASS", 0x10),
        ("IPV6_MULTICAST_HOPS", 3),
        ("IPV6_MULTICAST_LOOP", 0),
        ("IPV6_MULTICAST_IF", 1),
    ],
)
async def test_options_of_ipv6_are_set_on_sockets_of_ipv6(proxy, page, name, value):
    datagrams = page.datagrams(6)
    await page.set_option(datagrams, name, value)
    assert option_of(proxy, datagrams.id, socket.IPPROTO_IPV6, getattr(socket, name)) == value


@pytest.mark.parametrize(("name", "value"), [("IP_MULTICAST_TTL", 3), ("IP_MULTICAST_LOOP", 0)])
async def test_options_of_multicast_are_set_on_datagram_sockets(proxy, page, name, value):
    datagrams = page.datagrams()
    await page.set_option(datagrams, name, value)
    assert option_of(proxy, datagrams.id, socket.IPPROTO_IP, getattr(socket, name)) == value


async def test_the_send_buffer_of_a_datagram_socket_is_the_hosts(proxy, page):
    datagrams = page.datagrams()
    await page.set_option(datagrams, "SO_SNDBUF", 5000)
    # Linux counts its own expenses too.
    assert option_of(proxy, datagrams.id, socket.SOL_SOCKET, socket.SO_SNDBUF) == 10_000


# ── What is refused ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("SO_RCVBUF", ["1"], "ENOPROTOOPT"),
        ("SO_BINDTODEVICE", ["lo"], "ENOPROTOOPT"),
        ("AF_INET", ["1"], "ENOPROTOOPT"),
        ("", [], "ENOPROTOOPT"),
        ("TCP_NODELAY", [], "EINVAL"),
        ("TCP_NODELAY", ["1", "2"], "EINVAL"),
        ("TCP_NODELAY", ["one"], "EINVAL"),
        ("TCP_NODELAY", ["0x1"], "EINVAL"),
        ("TCP_NODELAY", ["1_0"], "EINVAL"),
        ("TCP_NODELAY", ["1\0"], "EINVAL"),
        ("TCP_NODELAY", [str(2**31)], "EINVAL"),
        ("TCP_NODELAY", ["9" * 60_000], "EINVAL"),
        ("TCP_KEEPIDLE", ["0"], "EINVAL"),
        ("SO_SNDBUF", ["much"], "EINVAL"),
    ],
)
async def test_what_is_no_option_or_no_value_is_refused_by_name(page, silent_server, name, values, code):
    connection, opened = page.connect(*silent_server.address), page.stream()
    assert await code_of(page.set_option(connection, name, *values)) == code
    await connection.connected()
    assert await code_of(page.set_option(connection, name, *values)) == code
    assert await code_of(page.set_option(opened, name, *values)) == code


async def test_an_option_that_is_not_of_this_kind_of_socket_has_the_systems_errno(page):
    assert await code_of(page.set_option(page.datagrams(), "TCP_NODELAY", 1)) in {"ENOPROTOOPT", "EOPNOTSUPP"}


async def test_an_option_of_no_socket_is_refused(page):
    gone = page.stream()
    gone.close()
    assert await code_of(page.set_option(gone, "TCP_NODELAY", 1)) == "EBADF"


async def test_an_option_that_this_system_lacks_is_refused(page, monkeypatch):
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT")
    assert await code_of(page.set_option(page.stream(), "TCP_USER_TIMEOUT", 1)) == "ENOPROTOOPT"


# ── Windows ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_larger_window_is_granted_at_once(page, silent_server):
    connection = page.connect(*silent_server.address)
    await connection.connected()
    await page.set_option(connection, "SO_SNDBUF", 1 << 20)
    assert connection.credit == 1 << 20


async def test_a_larger_window_is_granted_once_the_connection_stands(page, silent_server):
    connection = page.connect(*silent_server.address)
    await page.set_option(connection, "SO_SNDBUF", 1 << 20)
    await connection.connected()
    await until(lambda: connection.credit == 1 << 20)


async def test_a_window_set_before_listening_is_that_of_what_is_accepted(page):
    listener = page.stream()
    await page.set_option(listener, "SO_SNDBUF", 1 << 20)
    address = await listener.listen()
    _, writer = await asyncio.open_connection(*address[1:])
    connection = await listener.accept()
    await until(lambda: connection.credit == 1 << 20)
    writer.close()


async def test_a_window_set_before_connecting_is_that_of_the_connection(page, silent_server):
    opened = page.stream()
    await page.set_option(opened, "SO_SNDBUF", 1 << 20)
    connection = page.connect_opened(opened, *silent_server.address)
    await until(lambda: connection.credit == 1 << 20)


async def test_a_smaller_window_bounds_what_is_held_once_what_was_granted_is_used_up(proxy, page):
    with Witness(receive_buffer=4096) as peer:
        connection = page.connect(*peer.address)
        await connection.connected()
        await page.set_option(connection, "SO_SNDBUF", WINDOW_MIN)
        data = pattern(4 << 20)
        sending = asyncio.create_task(connection.send(data))
        largest = 0
        while len(peer.received) < len(data):
            if len(peer.received) > 1 << 20:
                largest = max(largest, connection.credit)
            await asyncio.sleep(0.001)
        await sending
        assert peer.received == data
        assert largest <= WINDOW_MIN


async def test_windows_take_from_what_the_session_has_and_give_it_back(proxy, page, silent_server):
    [session] = proxy.sessions
    before = session.budget.left
    connections = [page.connect(*silent_server.address) for _ in range(4)]
    for connection in connections:
        await connection.connected()
        await page.set_option(connection, "SO_SNDBUF", 16 << 20)
    assert session.budget.left == 0
    assert sum(connection.credit for connection in connections) == before + 4 * WINDOW_INITIAL
    for connection in connections:
        connection.close()
    await until(lambda: proxy.sessions.sockets == 0)
    assert session.budget.left == before


async def test_a_window_of_a_connection_that_has_failed_takes_nothing(proxy):
    async with proxy.page(window=1000) as page:
        [session] = proxy.sessions
        before = session.budget.left
        with ResetsWhenTold(pattern(5000)) as peer:
            connection = page.connect(*peer.address)
            await until(lambda: connection.waiting == 1000)
            peer.reset()
            await connection.send(b"too late")  # for the proxy, which does not read now, to hear of it
            await until(lambda: session.socket(connection.id)._state == "closed")
        await page.set_option(connection, "SO_SNDBUF", 1 << 20)
        assert connection.credit <= WINDOW_INITIAL
        with pytest.raises(ResetError):
            await connection.read()
        await until(lambda: proxy.sessions.sockets == 0)
        assert session.budget.left == before


# ── Groups and broadcasts ─────────────────────────────────────────────────────────────────────────────────


async def test_a_broadcast_needs_its_option(page):
    listener = page.datagrams()
    port = (await listener.bind()).port
    sender = page.datagrams()
    sender.send(b"everybody", "127.255.255.255", port)
    with pytest.raises(FaultError, match="EACCES"):
        await sender.recv()
    await page.set_option(sender, "SO_BROADCAST", 1)
    sender.send(b"everybody", "127.255.255.255", port)
    assert (await listener.recv())[0] == b"everybody"


async def test_a_member_of_a_group_hears_what_is_sent_to_it():
    port = free_port()
    async with running_proxy(listen=listening(f"udp:*:{port}")) as proxy, proxy.page() as page:
        member, sender = page.datagrams(), page.datagrams()
        await member.bind("", port)
        await page.set_option(member, "IP_ADD_MEMBERSHIP", GROUP, "127.0.0.1")
        await page.set_option(sender, "IP_MULTICAST_IF", "127.0.0.1")
        await page.set_option(sender, "IP_MULTICAST_LOOP", 1)
        sender.send(b"to all members", GROUP, port)
        assert (await member.recv())[0] == b"to all members"
        await page.set_option(member, "IP_DROP_MEMBERSHIP", GROUP, "127.0.0.1")
        assert (
            await code_of(page.set_option(member, "IP_DROP_MEMBERSHIP", GROUP, "127.0.0.1"))
        ) == "EADDRNOTAVAIL"


async def test_a_group_of_ipv6_is_joined_by_the_index_of_an_interface(page):
    index = socket.if_nametoindex("lo")
    member = page.datagrams(6)
    await page.set_option(member, "IPV6_JOIN_GROUP", "ff01::4d07", index)
    assert await code_of(page.set_option(member, "IPV6_JOIN_GROUP", "ff01::4d07", index)) == "EADDRINUSE"
    await page.set_option(member, "IPV6_LEAVE_GROUP", "ff01::4d07", index)


async def test_a_group_that_the_policy_refuses_is_not_joined():
    deny = (Rule.parse("udp:224.0.0.0/4:*"), Rule.parse("[ff00::]/8:*"))
    async with running_proxy(deny=deny) as proxy, proxy.page() as page:
        for family, name, group, interface in (
            (4, "IP_ADD_MEMBERSHIP", GROUP, "127.0.0.1"),
            (6, "IPV6_JOIN_GROUP", "ff01::4d07", "1"),
        ):
            with pytest.raises(FailedError) as caught:
                await page.set_option(page.datagrams(family), name, group, interface)
            assert caught.value.code == "EACCES"
            assert "start it with --allow" in caught.value.message


@pytest.mark.parametrize(
    "values",
    [
        ["everybody", "127.0.0.1"],
        [GROUP, "lo"],
        [GROUP],
        [],
        [GROUP, "127.0.0.1", "1"],
        ["10.0.0.1", "127.0.0.1"],
    ],
)
async def test_what_is_no_group_is_refused(page, values):
    assert await code_of(page.set_option(page.datagrams(), "IP_ADD_MEMBERSHIP", *values)) == "EINVAL"


async def test_a_page_that_may_not_listen_hears_no_group():
    async with running_proxy() as proxy, proxy.page() as page:
        member = page.datagrams()
        local = await member.bind()
        await page.set_option(member, "IP_ADD_MEMBERSHIP", GROUP, "127.0.0.1")
        with UdpHost() as host:
            host.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            host.send(b"to all members", GROUP, local.port)
            member.send(b"a friend", *host.address)
            await host.recv()
            host.send(b"to a friend", "127.0.0.1", local.port)
            assert (await member.recv())[0] == b"to a friend"
