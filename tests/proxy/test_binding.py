from __future__ import annotations

import socket

import pytest

from pynet_browser.fields import Address
from pynet_browser.proxy.policy import Rule
from tests.proxy.client import FailedError
from tests.proxy.hosts import Guest
from tests.proxy.running import EVERY_LOOP, listening, running_proxy
from tests.servers.process import free_port

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


async def test_a_socket_that_has_no_address_listens_on_a_free_port(page):
    address = await page.stream().listen()
    assert address.host == "127.0.0.1"
    async with Guest.at(address):
        pass


@pytest.mark.parametrize(
    ("rules", "advice"),
    [
        ((), "0.0.0.0:*; start it with --listen '*', or for more than this machine --listen 0.0.0.0:'*'"),
        (
            ("udp:*",),
            "0.0.0.0:*; start it with --listen '*', or for more than this machine --listen 0.0.0.0:'*'",
        ),
    ],
)
async def test_without_a_rule_nobody_listens(rules, advice):
    async with running_proxy(listen=listening(*rules)) as proxy, proxy.page() as page:
        never_bound, bound = page.stream(), page.stream()
        error = await failure(never_bound.listen())
        assert (error.code, error.message) == ("EACCES", f"the proxy does not let pages listen on {advice}")
        await bound.bind()
        error = await failure(bound.listen())
        assert (error.code, error.message) == ("EACCES", f"the proxy does not let pages listen on {advice}")


async def test_a_port_without_a_rule_cannot_be_bound():
    async with running_proxy(listen=listening("8001-8002", "udp:8000")) as proxy, proxy.page() as page:
        error = await failure(page.stream().bind("127.0.0.1", 8000))
        assert error.code == "EACCES"
        assert (
            error.message
            == "the proxy does not let pages listen on 127.0.0.1:8000; start it with --listen 8000"
        )


async def test_the_proxys_own_port_is_nobody_elses(proxy, page):
    error = await failure(page.stream().bind("127.0.0.2", proxy.sessions.config.port))
    assert error.code == "EACCES"
    assert "is the proxy's own port" in error.message


@pytest.mark.parametrize(("family", "every", "loopback"), [(4, "0.0.0.0", "127.0.0.1"), (6, "::", "::1")])
async def test_every_address_becomes_loopback_where_the_rules_allow_no_more(page, family, every, loopback):
    for host in ("", every):
        listener = page.stream(family)
        address = await listener.bind(host, free_port(loopback))
        assert address.host == loopback
        assert await listener.listen() == address


async def test_every_address_may_listen_where_the_rules_allow_it():
    port = free_port()
    async with running_proxy(listen=listening(f"0.0.0.0:{port}")) as proxy, proxy.page() as page:
        listener = page.stream()
        assert await listener.bind("", port) == Address(4, "0.0.0.0", port)
        await listener.listen()
        async with Guest.at(Address(4, "127.0.0.2", port)):
            ends = await (await listener.accept()).connected()
            assert ends.local == Address(4, "127.0.0.2", port)


async def test_a_free_port_is_one_of_those_that_the_rules_name():
    ports = set[int]()
    while len(ports) < 3:
        ports.add(free_port())
    async with running_proxy(listen=listening(*map(str, ports))) as proxy, proxy.page() as page:
        listeners = [page.stream() for _ in range(4)]
        for listener in listeners:
            # With it the system would give a port to several, as long as none of them listens.
            await page.set_option(listener, "SO_REUSEADDR", 1)
        assert {(await listener.bind()).port for listener in listeners[:3]} == ports
        error = await failure(listeners[3].bind())
        assert (error.code, error.message) == (
            "EADDRINUSE",
            "no port where the proxy lets pages listen is free",
        )


async def test_names_of_this_machine_may_be_bound(page):
    assert (await page.stream().bind("localhost")).host == "127.0.0.1"
    assert (await page.stream(6).bind("LOCALHOST.")).host == "::1"
    assert (await failure(page.stream().bind("no-such-name.invalid"))).code == "EAI_NONAME"


async def test_a_name_of_another_machine_is_no_address_to_bind_to(page, monkeypatch):
    ask = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest: ask("192.0.2.1" if host == "elsewhere.test" else host, *rest),
    )
    assert (await failure(page.stream().bind("elsewhere.test"))).code == "EADDRNOTAVAIL"


async def test_loopback_is_found_by_name_even_where_it_may_not_be_reached(echo_server):
    deny = (Rule.parse("127.0.0.0/8:*"), Rule.parse("[::1]:*"))
    async with running_proxy(deny=deny, listen=listening("*")) as proxy, proxy.page() as page:
        assert (await page.stream().bind("localhost")).host == "127.0.0.1"
