"""Look-ups: what needs no proxy beside the system's own answers, and what the proxy's answers become."""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
from functools import partial
from typing import Any, cast

import pytest

from pynet_browser.errors import PolicyError
from pynet_browser.runtime import Network, Reply
from pynet_browser.stdlib.addresses import numeric_address
from pynet_browser.stdlib.names import Names
from tests.unit.page import Later, reply


class Proxy:
    """Gives one answer to whatever it is asked."""

    def __init__(self, **answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[Any, ...]] = []

    def resolve(self, *question: Any) -> Reply:
        self.asked.append(question)
        return reply("getaddrinfo", **self.answer)

    def reverse(self, *question: Any, datagram: bool) -> Reply:
        self.asked.append((*question, datagram))
        return reply("getnameinfo", **self.answer)


def names(proxy: Proxy) -> Names:
    return Names(cast(Network, proxy))


def outcome(call: Any, *arguments: Any) -> Any:
    """What a call returns, or what its exception says to a program."""
    try:
        return call(*arguments)
    except OSError as error:
        return type(error), error.errno


FAMILIES = (socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6)
KINDS = ((0, 0), (0, socket.IPPROTO_TCP), (socket.SOCK_STREAM, 0), (socket.SOCK_DGRAM, socket.IPPROTO_UDP))


@pytest.mark.parametrize(
    ("host", "family"), list(itertools.product(["127.0.0.1", "::1", "", None], FAMILIES))
)
def test_what_needs_no_look_up_is_answered_as_by_the_system(host, family):
    for port, (kind, protocol), flags in itertools.product(
        [80, "80", b"80", None, 0, ""], KINDS, [0, socket.AI_NUMERICSERV, socket.AI_CANONNAME]
    ):
        if host is None and flags == socket.AI_CANONNAME:
            continue  # there is no name to be canonical
        arguments = (host, port, family, kind, protocol, flags)
        proxy = Proxy(error="EAI_FAIL", message="")
        ours = outcome(names(proxy).getaddrinfo, *arguments)
        systems = outcome(socket.getaddrinfo, *arguments)
        if host is None and isinstance(systems, list):
            ours, systems = sorted(ours), sorted(systems)  # how this machine is connected decides the order
        assert ours == systems
        assert not proxy.asked


def test_no_host_at_all_has_no_names():
    with pytest.raises(socket.gaierror):
        names(Proxy(host="localhost", service="http")).getnameinfo(("", 80), 0)


def test_an_answer_of_the_proxy_becomes_an_entry_for_each_address_and_kind():
    addresses = [
        {"family": 6, "host": "2001:db8::1", "port": 0},
        {"family": 4, "host": "192.0.2.1", "port": 0},
    ]
    proxy = Proxy(port=80, canonical="host.example", addresses=addresses)
    found = names(proxy).getaddrinfo("www.example", "http", 0, socket.SOCK_STREAM, 0, socket.AI_CANONNAME)
    assert found == [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "host.example", ("2001:db8::1", 80, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80)),
    ]
    assert proxy.asked == [("www.example", "http", 0)]


@pytest.mark.parametrize(
    ("code", "kind", "number"),
    [
        ("EAI_NONAME", socket.gaierror, socket.EAI_NONAME),
        ("EAI_AGAIN", socket.gaierror, socket.EAI_AGAIN),
        ("EAI_MADE_UP", socket.gaierror, socket.EAI_FAIL),
        ("EACCES", PolicyError, errno.EACCES),
        ("ECONNRESET", ConnectionResetError, errno.ECONNRESET),
        ("EMADEUP", OSError, errno.EIO),
        ("errorcode", OSError, errno.EIO),
        ("__name__", OSError, errno.EIO),
        ("", OSError, errno.EIO),
    ],
)
def test_an_error_of_the_proxy_is_a_true_exception_whatever_its_code(code, kind, number):
    with pytest.raises(OSError, match="because") as raised:
        names(Proxy(error=code, message="because")).getaddrinfo("host.example", 80)
    assert raised.type is kind
    assert raised.value.errno == number


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", (socket.AF_INET, "127.0.0.1")),
        ("2001:DB8:0::1", (socket.AF_INET6, "2001:db8::1")),
        ("fe80::1%eth0", (socket.AF_INET6, "fe80::1")),
        ("::ffff:10.0.0.1", (socket.AF_INET6, "::ffff:a00:1")),
        ("1.2.3", None),
        ("1.2.3.4::", None),
        ("host.example", None),
        ("", None),
    ],
)
def test_numeric_addresses_are_told_from_names(host, address):
    found = numeric_address(host)
    if address and address[1].startswith("::ffff:"):
        assert found in {address, (socket.AF_INET6, "::ffff:10.0.0.1")}  # newer Pythons write it so
    else:
        assert found == address


# ── Each look-up has a twin that is awaited ───────────────────────────────────────────────────────────


class Slow(Proxy):
    """Answers in time, and not at once."""

    def resolve(self, *question: Any) -> Reply:
        super().resolve(*question)
        return self._promised("getaddrinfo")

    def reverse(self, *question: Any, datagram: bool) -> Reply:
        super().reverse(*question, datagram=datagram)
        return self._promised("getnameinfo")

    def _promised(self, call: str) -> Reply:
        later = Later(call)
        asyncio.get_running_loop().call_soon(partial(later.pending.settle, **self.answer))
        return later


async def awaited(call: Any, *arguments: Any) -> Any:
    """The same as ``outcome``, of a coroutine."""
    try:
        return await call(*arguments)
    except OSError as error:
        return type(error), error.errno


FOUND: dict[str, Any] = {
    "port": 80,
    "canonical": "host.example",
    "addresses": [
        {"family": 6, "host": "2001:db8::1", "port": 0},
        {"family": 4, "host": "192.0.2.1", "port": 0},
    ],
}
LOOK_UPS: list[tuple[Any, ...]] = [
    ("host.example", "http"),
    ("host.example", 443, 0, socket.SOCK_STREAM),
    ("host.example", None, 0, 0, socket.IPPROTO_UDP, socket.AI_CANONNAME),
    ("127.0.0.1", 80),
    ("127.0.0.1", "http"),
    ("127.0.0.1", 80, socket.AF_INET6),
    (None, 80, 0, 0, 0, socket.AI_PASSIVE),
    ("", 80),
    ("host.example", 80, 77),
    ("host.example", 80, 0, 77),
    ("host.example", 80, 0, socket.SOCK_STREAM, socket.IPPROTO_UDP),
    ("host.example", "http", 0, 0, 0, socket.AI_NUMERICSERV),
    ("host.example", 80, 0, 0, 0, socket.AI_NUMERICHOST),
    ("bücher.example", 80),
    (b"host.example", b"http"),
]


@pytest.mark.parametrize("arguments", LOOK_UPS, ids=repr)
@pytest.mark.parametrize(
    "answer", [FOUND, {"error": "EAI_NONAME", "message": "no such name"}], ids=["found", "not"]
)
async def test_a_look_up_that_is_awaited_asks_and_answers_the_same(arguments, answer):
    now, later = Proxy(**answer), Slow(**answer)
    expected = outcome(names(now).getaddrinfo, *arguments)
    assert await awaited(names(later).getaddrinfo_async, *arguments) == expected
    assert later.asked == now.asked


NAMED = [
    ("", ""),
    ("host.example", "http"),
    ("host.example", ""),
    ("", "http"),
]
FLAGS = [0, *(socket.NI_NUMERICHOST, socket.NI_NUMERICSERV, socket.NI_NAMEREQD, socket.NI_DGRAM), 3]


@pytest.mark.parametrize(("host", "service"), NAMED)
@pytest.mark.parametrize("flags", FLAGS)
async def test_so_do_names_of_addresses(host, service, flags):
    for address in (("127.0.0.1", 80), ("::1", 53, 0, 0), ("host.example", 80)):
        now, later = Proxy(host=host, service=service), Slow(host=host, service=service)
        expected = outcome(names(now).getnameinfo, address, flags)
        assert await awaited(names(later).getnameinfo_async, address, flags) == expected
        assert later.asked == now.asked


def test_an_address_whose_name_and_service_are_known_is_told_by_them():
    look_ups = names(Proxy(host="host.example", service="http"))
    assert look_ups.getnameinfo(("127.0.0.1", 80), 0) == ("host.example", "http")
    assert look_ups.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICSERV) == ("host.example", "80")
    assert look_ups.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST) == ("127.0.0.1", "http")
    nameless = names(Proxy(host="", service=""))
    assert nameless.getnameinfo(("127.0.0.1", 80), 0) == ("127.0.0.1", "80")
    with pytest.raises(socket.gaierror) as caught:
        nameless.getnameinfo(("127.0.0.1", 80), socket.NI_NAMEREQD)
    assert caught.value.errno == socket.EAI_NONAME


def test_numbers_alone_are_answered_without_asking():
    proxy = Proxy(error="EAI_FAIL", message="")
    assert names(proxy).getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV) == (
        "127.0.0.1",
        "80",
    )
    assert not proxy.asked


# ── The older look-ups ────────────────────────────────────────────────────────────────────────────────


def test_a_hosts_first_ipv4_address():
    proxy = Proxy(**{**FOUND, "addresses": FOUND["addresses"][1:]})
    assert names(proxy).gethostbyname("host.example") == "192.0.2.1"
    assert names(proxy).gethostbyname_ex("host.example") == ("host.example", [], ["192.0.2.1"])
    assert proxy.asked == [("host.example", "", 4)] * 2


@pytest.mark.parametrize("name", ["", "<broadcast>", "127.0.0.1"])
def test_a_host_that_needs_no_look_up(name):
    proxy = Proxy(error="EAI_FAIL", message="")
    assert names(proxy).gethostbyname(name) == socket.gethostbyname(name)
    assert not proxy.asked


def test_the_host_of_an_address():
    proxy = Proxy(host="host.example", service="")
    assert names(proxy).gethostbyaddr("192.0.2.1") == ("host.example", [], ["192.0.2.1"])
    assert proxy.asked == [(4, "192.0.2.1", 0, False)]
    with pytest.raises(socket.herror) as caught:
        names(Proxy(host="", service="")).gethostbyaddr("192.0.2.1")
    assert caught.value.errno == 1


def test_services_and_their_ports():
    proxy = Proxy(host="", service="domain", port=53, addresses=[], canonical="")
    assert names(proxy).getservbyname("domain") == 53
    assert names(proxy).getservbyport(53) == "domain"
    assert names(proxy).getservbyport(53, "udp") == "domain"
    assert proxy.asked == [("", "domain", 0), (4, "127.0.0.1", 53, False), (4, "127.0.0.1", 53, True)]
    for answer in ({"error": "EAI_SERVICE", "message": ""}, {"host": "", "service": ""}):
        lost = names(Proxy(**answer))
        with pytest.raises(OSError, match="not found"):
            lost.getservbyport(53) if "service" in answer else lost.getservbyname("nothing")


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused_as_by_python(port):
    with pytest.raises(OverflowError) as systems:
        socket.getservbyport(port)
    with pytest.raises(OverflowError) as ours:
        names(Proxy()).getservbyport(port)
    assert str(ours.value) == str(systems.value)


@pytest.mark.parametrize("host", [5, 1.5, "a\0b", b"\xff"])
def test_a_host_that_is_none_is_refused_before_anybody_is_asked(host):
    proxy = Proxy(**FOUND)
    for look_up in (names(proxy).getaddrinfo, socket.getaddrinfo):
        with pytest.raises((TypeError, ValueError, OSError)):
            look_up(host, 80)
    assert not proxy.asked


@pytest.mark.parametrize("port", [1.5, [], object()])
def test_so_is_a_port(port):
    for look_up in (names(Proxy(**FOUND)).getaddrinfo, socket.getaddrinfo):
        with pytest.raises((TypeError, OSError)):
            look_up("127.0.0.1", port)
