"""Look-ups: what needs no proxy beside the system's own answers, and what the proxy's answers become."""

from __future__ import annotations

import errno
import itertools
import socket
from typing import Any, cast

import pytest

from pynet_browser.errors import PolicyError
from pynet_browser.runtime import Network, Reply
from pynet_browser.stdlib.addresses import numeric_address
from pynet_browser.stdlib.names import Names
from tests.unit.page import Plain


class Proxy:
    """Gives one answer to whatever it is asked."""

    def __init__(self, **answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[Any, ...]] = []

    def resolve(self, *question: Any) -> Reply:
        self.asked.append(question)
        return Reply("getaddrinfo", Plain(self.answer))

    def reverse(self, *question: Any, datagram: bool) -> Reply:
        self.asked.append((*question, datagram))
        return Reply("getnameinfo", Plain(self.answer))


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
