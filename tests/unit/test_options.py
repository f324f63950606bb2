"""Socket options beside the system's: values, defaults, and errors for what a socket does not have."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pynet_browser.runtime import Network, Reply
from pynet_browser.stdlib import options
from pynet_browser.stdlib.addresses import AF_UNIX
from pynet_browser.stdlib.options import OPTIONS, Option
from tests.unit.page import reply

FAMILIES = (socket.AF_INET, socket.AF_INET6, AF_UNIX)
KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
SOCKETS = [(family, kind) for family in FAMILIES for kind in KINDS]
BY_NAME = {option.name: key for key, option in OPTIONS.items()}


class Page:
    """What the page's side does with options; it answers every request in the same way."""

    def __init__(self, **answer: Any) -> None:
        self.answer = answer
        self.values: dict[str, list[str]] = {}

    def set_option(self, _fd: int, name: str, values: list[str]) -> Reply:
        if not self.answer:
            self.values[name] = values
        return reply("setsockopt", **self.answer)

    def option(self, _fd: int, name: str) -> list[str] | None:
        return self.values.get(name)

    def describe(self, fd: int) -> tuple[int, int, int] | None:
        return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) if fd >= 0 else None

    def listening(self, _fd: int) -> bool:
        return True


class Options:
    """Our calls, on a socket that is the system's in all else."""

    def __init__(self, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM, **answer: Any) -> None:
        self.page = Page(**answer)
        self.socket = socket.socket(family, kind)
        network = cast(Network, self.page)
        self._set, self._get = options._setter(network), options._getter(network)

    def set(self, *arguments: Any) -> Any:
        return self._set(self.socket, *arguments)

    def get(self, *arguments: Any) -> Any:
        return self._get(self.socket, *arguments)


@pytest.fixture(autouse=True)
def _page_without_options(monkeypatch):
    """C's calls do nothing in a page."""
    native = SimpleNamespace(setsockopt=lambda *_: None, getsockopt=lambda *_: 0)
    monkeypatch.setattr(options, "_socket", SimpleNamespace(socket=native))


def outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call returns, or what its exception says to a program."""
    try:
        return call(*arguments)
    except (OSError, TypeError, ValueError, struct.error) as error:
        return type(error), getattr(error, "errno", None)


# ── Beside the system ─────────────────────────────────────────────────────────────────────────────────

OTHER_DEFAULTS = {"SO_RCVBUF", "SO_SNDBUF"}
"""What a host is configured for; ours are windows."""

NUMBERS = (0, 1, 2, 5, -1, 64, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, -(2**31))

OTHER_NUMBERS: dict[str, Callable[[int], bool]] = {
    # beyond these a host's configuration decides
    "SO_RCVBUF": lambda number: not 0 <= number <= 65535,
    "SO_SNDBUF": lambda number: not 0 <= number <= 65535,
    # Linux takes any number and keeps what fits, of streams without the bits of ECN
    "IP_TOS": lambda number: not 0 <= number <= 255 or number & 3 != 0,
    "IPV6_TCLASS": lambda number: number & 3 != 0,
    # Linux refuses here what it takes for all other flags
    "IPV6_MULTICAST_LOOP": lambda number: number not in (0, 1),
    "SO_REUSEPORT": lambda number: True,  # of AF_UNIX it is refused
    # the proxy knows the interfaces
    "IPV6_MULTICAST_IF": lambda number: number != 0,
}


@pytest.mark.parametrize(("family", "kind"), SOCKETS)
@pytest.mark.parametrize("name", sorted(BY_NAME.keys() - OTHER_DEFAULTS))
def test_an_option_that_was_not_set_is_what_it_is_on_linux(name, family, kind):
    ours = Options(family, kind)
    with ours.socket, socket.socket(family, kind) as systems:
        for length in ((), (1,), (4,), (8,)):
            arguments = (*BY_NAME[name], *length)
            assert outcome(ours.get, *arguments) == outcome(systems.getsockopt, *arguments)


@pytest.mark.parametrize(("family", "kind"), SOCKETS)
@pytest.mark.parametrize("name", [option.name for option in OPTIONS.values() if not option.read])
def test_a_number_is_taken_refused_and_told_as_on_linux(name, family, kind):
    for number in NUMBERS:
        if OTHER_NUMBERS.get(name, lambda _: False)(number):
            continue
        ours = Options(family, kind)
        with ours.socket, socket.socket(family, kind) as systems:
            arguments = (*BY_NAME[name], number)
            assert outcome(ours.set, *arguments) == outcome(systems.setsockopt, *arguments), number
            if name not in OTHER_DEFAULTS or not isinstance(outcome(ours.set, *arguments), tuple):
                key = BY_NAME[name]
                assert outcome(ours.get, *key) == outcome(systems.getsockopt, *key), number


@pytest.mark.parametrize(("family", "kind"), SOCKETS)
@pytest.mark.parametrize("name", [option.name for option in OPTIONS.values() if not option.read])
def test_bytes_are_taken_where_there_are_enough(name, family, kind):
    for data in (
        b"",
        b"\1",
        b"\1\0",
        b"\1\0\0",
        b"\1\0\0\0",
        b"\1" + bytes(7),
        bytearray(4),
        memoryview(b"\1" * 4),
    ):
        if name in OTHER_NUMBERS:
            continue
        ours = Options(family, kind)
        with ours.socket, socket.socket(family, kind) as systems:
            arguments = (*BY_NAME[name], data)
            assert outcome(ours.set, *arguments) == outcome(systems.setsockopt, *arguments), bytes(data)


@pytest.mark.parametrize(("family", "kind"), SOCKETS)
@pytest.mark.parametrize(
    "level", [socket.SOL_SOCKET, socket.IPPROTO_IP, socket.IPPROTO_TCP, socket.IPPROTO_IPV6, 77]
)
def test_what_is_no_option_is_refused_as_on_linux(level, family, kind):
    ours = Options(family, kind)
    with ours.socket, socket.socket(family, kind) as systems:
        for number in (-1, 9999):
            assert outcome(ours.set, level, number, 1) == outcome(systems.setsockopt, level, number, 1)
            assert outcome(ours.get, level, number) == outcome(systems.getsockopt, level, number)


@pytest.mark.parametrize("length", [-1, 1025, "4", 4.0])
def test_a_length_that_is_none_is_refused_as_by_python(length):
    ours = Options()
    with ours.socket, socket.socket() as systems:
        arguments = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, length)
        assert outcome(ours.get, *arguments) == outcome(systems.getsockopt, *arguments)


@pytest.mark.parametrize("lingering", [(0, 0), (1, 0), (1, 5), (7, 5)])
def test_lingering_is_a_structure_of_c(lingering):
    ours = Options()
    with ours.socket, socket.socket() as systems:
        arguments = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", *lingering))
        ours.set(*arguments)
        systems.setsockopt(*arguments)
        for length in (0, 8):
            key = (socket.SOL_SOCKET, socket.SO_LINGER, length)
            assert ours.get(*key) == systems.getsockopt(*key)
        for short in (b"", bytes(4), bytes(7)):
            arguments = (socket.SOL_SOCKET, socket.SO_LINGER, short)
            assert outcome(ours.set, *arguments) == outcome(systems.setsockopt, *arguments)


# ── What travels ──────────────────────────────────────────────────────────────────────────────────────

GROUP, HERE, NONE = (socket.inet_aton(text) for text in ("239.1.2.3", "127.0.0.1", "0.0.0.0"))
GROUP6 = socket.inet_pton(socket.AF_INET6, "ff02::123")

TRAVELS: list[tuple[str, Any, list[str]]] = [
    ("TCP_NODELAY", True, ["1"]),
    ("TCP_NODELAY", 77, ["1"]),
    ("SO_KEEPALIVE", 0, ["0"]),
    ("SO_RCVBUF", 100_000, ["100000"]),
    ("SO_RCVBUF", 1, ["1152"]),
    ("SO_SNDBUF", -5, ["2304"]),
    ("SO_LINGER", struct.pack("ii", 7, 3), ["1", "3"]),
    ("IP_TTL", 5, ["5"]),
    ("IP_TTL", -1, ["64"]),
    ("IP_MULTICAST_TTL", struct.pack("b", 2), ["2"]),  # as the standard library's documentation has it
    ("IP_MULTICAST_IF", HERE, ["127.0.0.1"]),
    ("IP_MULTICAST_IF", GROUP + HERE, ["127.0.0.1"]),
    ("IP_MULTICAST_IF", GROUP + HERE + bytes(4), ["127.0.0.1"]),
    ("IP_ADD_MEMBERSHIP", GROUP + NONE, ["239.1.2.3", "0.0.0.0"]),
    ("IP_ADD_MEMBERSHIP", struct.pack("4sl", GROUP, socket.INADDR_ANY), ["239.1.2.3", "0.0.0.0"]),
    ("IP_DROP_MEMBERSHIP", GROUP + HERE, ["239.1.2.3", "127.0.0.1"]),
    ("IPV6_JOIN_GROUP", GROUP6 + struct.pack("I", 3), ["ff02::123", "3"]),
    ("IPV6_LEAVE_GROUP", GROUP6 + struct.pack("@I", 0), ["ff02::123", "0"]),
    ("IPV6_MULTICAST_IF", 2, ["2"]),
]


@pytest.mark.parametrize(("name", "value", "values"), TRAVELS, ids=repr)
def test_a_value_travels_as_text(name, value, values):
    option = OPTIONS[BY_NAME[name]]
    family = socket.AF_INET if socket.AF_INET in option.families else socket.AF_INET6
    ours = Options(family, option.kinds[-1])
    with ours.socket:
        ours.set(*BY_NAME[name], value)
        assert ours.page.values == {name: values}


@pytest.mark.parametrize("name", [option.name for option in OPTIONS.values() if option.read])
def test_a_structure_that_is_too_short_is_refused_and_does_not_travel(name):
    option = OPTIONS[BY_NAME[name]]
    family = socket.AF_INET if socket.AF_INET in option.families else socket.AF_INET6
    ours = Options(family, option.kinds[-1])
    with ours.socket:
        for length in range(4):
            assert outcome(ours.set, *BY_NAME[name], bytes(length)) == (OSError, errno.EINVAL)
        assert not ours.page.values


@pytest.mark.parametrize("length", [0, 1, 4, 8])
def test_no_value_but_a_length_is_refused_as_on_linux(length):
    ours = Options()
    with ours.socket, socket.socket() as systems:
        arguments = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, None, length)
        assert outcome(ours.set, *arguments) == outcome(systems.setsockopt, *arguments)
        assert not ours.page.values


@pytest.mark.parametrize("address", ["10.0.0.1", "223.255.255.255", "240.0.0.1"])
def test_a_group_that_is_none_is_refused_as_on_linux(address):
    ours = Options(kind=socket.SOCK_DGRAM)
    with ours.socket, socket.socket(type=socket.SOCK_DGRAM) as systems:
        arguments = (*BY_NAME["IP_ADD_MEMBERSHIP"], socket.inet_aton(address) + NONE)
        assert outcome(ours.set, *arguments) == outcome(systems.setsockopt, *arguments)
        assert not ours.page.values


def test_an_interface_is_told_as_it_was_set():
    ours = Options(kind=socket.SOCK_DGRAM)
    with ours.socket:
        ours.set(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, HERE)
        assert ours.get(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, 4) == HERE


def test_a_refusal_of_the_proxy_is_an_exception():
    ours = Options(error="EACCES", message="not that group")
    with ours.socket, pytest.raises(PermissionError, match="not that group"):
        ours.set(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


# ── What a socket is ──────────────────────────────────────────────────────────────────────────────────


def test_what_a_socket_is_can_be_asked_and_not_set():
    ours = Options()
    with ours.socket, socket.socket() as systems:
        systems.listen()
        for number in (
            socket.SO_TYPE,
            socket.SO_DOMAIN,
            socket.SO_PROTOCOL,
            socket.SO_ACCEPTCONN,
            socket.SO_ERROR,
        ):
            assert ours.get(socket.SOL_SOCKET, number) == systems.getsockopt(socket.SOL_SOCKET, number)
            if number != socket.SO_ERROR:
                assert outcome(ours.set, socket.SOL_SOCKET, number, 1) == outcome(
                    systems.setsockopt, socket.SOL_SOCKET, number, 1
                )


def test_a_socket_that_is_closed_has_no_options():
    ours = Options()
    ours.socket.close()
    assert outcome(ours.set, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) == (OSError, errno.EBADF)
    assert outcome(ours.get, socket.SOL_SOCKET, socket.SO_KEEPALIVE) == (OSError, errno.EBADF)


def test_the_table_is_that_of_the_document():
    from tests.unit.test_protocol import TEXT

    documented = TEXT[TEXT.index("**option** sets") : TEXT.index("## Errors")]
    # these two are the client's own
    for name in BY_NAME.keys() - {"SO_RCVBUF", "SO_LINGER"}:
        assert name in documented


def test_defaults_are_within_their_bounds():
    for option in OPTIONS.values():
        if not option.read and option.name not in OTHER_DEFAULTS:
            (default,) = struct.unpack("i", option.default)
            assert option.low <= default <= option.high
        assert isinstance(option, Option)
