from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
import time

import aiohappyeyeballs
import pytest

from pynet_browser.proxy.policy import Policy, Rule
from pynet_browser.proxy.resolver import DialError, Resolver
from tests.peers import Echo


def resolver(*, allow=(), deny=(), public=False, **options):
    return Resolver(Policy(map(Rule.parse, allow), map(Rule.parse, deny), public=public), **options)


class Names(dict[str, list[str | tuple[str, int]]]):
    """Answers for made-up names: addresses, with a port where the connection shall really go to another.

    Attributes:
        asked: the names that were looked up, in order.
        unanswered: a name in it has its question wait for the event.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.unanswered: dict[str, threading.Event] = {}
        self._getaddrinfo = socket.getaddrinfo

    def getaddrinfo(self, host, port, *arguments, **named):
        if host not in self:
            return self._getaddrinfo(host, port, *arguments, **named)
        self.asked.append(host)
        if host in self.unanswered:
            self.unanswered[host].wait()
        infos = []
        for answer in self[host]:
            address, to_port = answer if isinstance(answer, tuple) else (answer, port)
            infos += self._getaddrinfo(address, to_port, 0, socket.SOCK_STREAM)
        return infos


@pytest.fixture
def names(monkeypatch) -> Names:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    return names


async def failure(awaitable) -> DialError:
    with pytest.raises(DialError) as caught:
        await awaitable
    return caught.value


# ── Resolving ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_name_resolves_to_its_addresses():
    found = await resolver().resolve("localhost", 4)
    assert found.addresses == ("127.0.0.1",)
    assert found.canonical == "localhost"


@pytest.mark.parametrize(
    ("host", "address"), [("::1", "::1"), ("127.1", "127.0.0.1"), ("1.2.3.4", "1.2.3.4")]
)
async def test_an_address_resolves_to_itself(host, address):
    found = await resolver().resolve(host)
    assert (found.canonical, found.addresses) == (address, (address,))


async def test_an_unknown_name_is_eai_noname():
    error = await failure(resolver().resolve("no-such-name.invalid"))
    assert error.code == "EAI_NONAME"
    assert error.message.startswith("'no-such-name.invalid': ")


async def test_text_that_is_no_name_is_eai_noname_and_is_not_looked_up(names):
    names["a b"] = ["127.0.0.1"]
    assert (await failure(resolver().resolve("a b"))).code == "EAI_NONAME"
    assert (await failure(resolver().dial("a b", 80))).code == "EAI_NONAME"
    assert names.asked == []


async def test_an_address_of_the_other_family_is_an_error():
    assert (await failure(resolver().resolve("127.0.0.1", 6))).code in {"EAI_ADDRFAMILY", "EAI_NONAME"}
    assert (await failure(resolver().resolve("127.0.0.1", 5))).code == "EAFNOSUPPORT"


async def test_each_address_is_told_once_and_hidden_ones_are_not(names):
    names["mixed.example"] = ["10.0.0.5", "8.8.8.8", "2606:4700::1111", "8.8.8.8"]
    found = await resolver(public=True).resolve("mixed.example")
    assert found.addresses == ("8.8.8.8", "2606:4700::1111")


async def test_a_name_with_hidden_addresses_only_says_what_to_change(names):
    names["db.internal"] = ["10.0.0.5"]
    error = await failure(resolver(public=True).resolve("db.internal"))
    assert error.code == "EAI_NONAME"
    assert error.message == (
        "the proxy's policy refuses db.internal:* (rule 10.0.0.0/8:*); start it with --allow db.internal:*"
    )
    assert (await resolver(public=True, allow=["db.internal:*"]).resolve("db.internal")).addresses == (
        "10.0.0.5",
    )


async def test_an_address_has_a_name_and_a_port_a_service():
    host, service = await resolver().reverse("127.0.0.1", 80)
    assert host == socket.getnameinfo(("127.0.0.1", 0), 0)[0]
    assert service == "http"


async def test_what_has_no_name_is_empty():
    _, service = await resolver().reverse("127.0.0.1", 64999)
    assert service == ""


async def test_a_hidden_address_has_no_name():
    host, service = await resolver(public=True).reverse("127.0.0.1", 80)
    assert (host, service) == ("", "http")


@pytest.mark.parametrize("address", ["localhost", "", "127.1", "fe80::1%1"])
async def test_only_a_numeric_address_has_a_name(address):
    assert (await failure(resolver().reverse(address, 80))).code == "EAI_NONAME"


async def test_services_have_ports():
    assert await resolver().service_port("http") == 80
    assert await resolver().service_port("8080") == 8080


@pytest.mark.parametrize("service", ["no-such-service", "a\0b", "é", "http\n"])
async def test_an_unknown_service_is_eai_service(service):
    assert (await failure(resolver().service_port(service))).code == "EAI_SERVICE"


async def test_a_silent_name_server_delays_only_its_own_question(names, monkeypatch):
    names["slow.example"] = names["quick.example"] = ["8.8.8.8"]
    answered = names.unanswered["slow.example"] = threading.Event()
    two_at_once = resolver(timeout=2.0, at_once=2)
    try:
        slow = asyncio.ensure_future(failure(two_at_once.resolve("slow.example")))
        assert (await two_at_once.resolve("quick.example")).addresses == ("8.8.8.8",)
        error = await slow
        assert (error.code, error.message) == (
            "EAI_AGAIN",
            "'slow.example' could not be resolved within 2 s",
        )
        # Its thread still waits, so its turn is not over; with a second such question there is no turn left.
        with monkeypatch.context() as patched:
            patched.setattr(two_at_once, "_timeout", 0.2)
            await failure(two_at_once.resolve("slow.example"))
            assert (await failure(two_at_once.resolve("quick.example"))).code == "EAI_AGAIN"
    finally:
        answered.set()
    assert (await two_at_once.resolve("quick.example")).addresses == ("8.8.8.8",)


# ── Dialling ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_dial_connects_and_sends_small_writes_at_once(echo_server):
    loop = asyncio.get_running_loop()
    with await resolver().dial("127.0.0.1", echo_server.port) as connection:
        assert connection.getpeername() == echo_server.address
        assert connection.getblocking() is False
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        await loop.sock_sendall(connection, b"hello")
        assert await loop.sock_recv(connection, 5) == b"hello"


async def test_dial_connects_over_ipv6():
    with Echo("::1") as peer, await resolver().dial("::1", peer.port) as connection:
        assert connection.family == socket.AF_INET6


async def test_a_refused_port_is_econnrefused(refusing_port):
    error = await failure(resolver().dial("127.0.0.1", refusing_port.port))
    assert error.code == "ECONNREFUSED"
    assert error.message == f"127.0.0.1:{refusing_port.port}: {os.strerror(errno.ECONNREFUSED)}"


async def test_an_unknown_name_is_not_connected_to():
    assert (await failure(resolver().dial("no-such-name.invalid", 80))).code == "EAI_NONAME"


async def test_a_port_that_does_not_answer_times_out(unanswering_port):
    start = time.monotonic()
    error = await failure(resolver().dial("127.0.0.1", unanswering_port.port, timeout=0.3))
    assert error.code == "ETIMEDOUT"
    assert error.message == f"127.0.0.1:{unanswering_port.port} could not be connected to within 0.3 s"
    assert 0.25 < time.monotonic() - start < 2


async def test_a_denied_destination_is_eacces_and_never_dialled(echo_server):
    rule = f"127.0.0.1:{echo_server.port}"
    error = await failure(resolver(deny=[rule]).dial("127.0.0.1", echo_server.port))
    assert error.code == "EACCES"
    assert error.message == f"the proxy's policy refuses {rule} (rule {rule}); start it without --deny {rule}"
    assert echo_server.accepted == 0


@pytest.mark.parametrize(
    "disguise", ["::ffff:127.0.0.1", "0.0.0.0", "127.1", "0x7f.0.0.1", "2130706433", "localhost"]
)
async def test_a_public_proxy_is_not_fooled_into_its_own_machine(echo_server, disguise):
    assert (await failure(resolver(public=True).dial(disguise, echo_server.port))).code == "EACCES"
    assert echo_server.accepted == 0


async def test_a_name_that_changes_its_mind_is_dialled_where_it_was_checked(names, echo_server, monkeypatch):
    """DNS rebinding: the second answer would be loopback, but nobody asks for it."""
    names["rebind.example"] = ["8.8.8.8"]
    dialled: list[tuple[str, int]] = []

    async def start_connection(infos, **_options):
        names["rebind.example"] = ["127.0.0.1"]
        dialled.extend(info[4] for info in infos)
        raise OSError(errno.ECONNREFUSED, "refused")

    monkeypatch.setattr(aiohappyeyeballs, "start_connection", start_connection)
    assert (
        await failure(resolver(public=True).dial("rebind.example", echo_server.port))
    ).code == "ECONNREFUSED"
    assert dialled == [("8.8.8.8", echo_server.port)]
    assert names.asked == ["rebind.example"]


async def test_only_the_allowed_ones_of_a_names_addresses_are_dialled(names, echo_server):
    names["mixed.example"] = ["127.0.0.2", "127.0.0.1"]
    denying = resolver(deny=["127.0.0.2:*"])
    with await denying.dial("mixed.example", echo_server.port) as connection:
        assert connection.getpeername() == echo_server.address
    names["mixed.example"] = ["127.0.0.2"]
    assert (await failure(denying.dial("mixed.example", echo_server.port))).code == "EACCES"


async def test_the_next_address_is_tried_when_one_refuses(names, echo_server):
    names["two.example"] = ["::1", "127.0.0.1"]
    with await resolver().dial("two.example", echo_server.port) as connection:
        assert connection.getpeername() == echo_server.address


async def test_the_next_address_is_tried_while_one_does_not_answer(names, unanswering_port):
    """Happy eyeballs: a quarter of a second, not the whole timeout, is lost to a dead address."""
    with Echo("::1") as peer:
        names["two.example"] = [unanswering_port.address, peer.address]
        start = time.monotonic()
        with await resolver().dial("two.example", 80) as connection:
            assert connection.getpeername()[:2] == peer.address
        assert 0.2 < time.monotonic() - start < 2


async def test_of_several_failures_the_answer_of_a_host_is_told(names, refusing_port, monkeypatch):
    real = asyncio.get_running_loop().sock_connect

    async def sock_connect(connection, address):
        if address[0] == "::1":
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        await real(connection, address)

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", sock_connect)
    names["two.example"] = ["::1", "127.0.0.1"]
    assert (await failure(resolver().dial("two.example", refusing_port.port))).code == "ECONNREFUSED"
    names["two.example"] = ["::1"]
    assert (await failure(resolver().dial("two.example", refusing_port.port))).code == "ENETUNREACH"
