"""Socket addresses beside the system's: what ``_socket`` takes, what it refuses and how it says so."""

from __future__ import annotations

import itertools
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pynet_browser.stdlib.addresses import AF_UNIX, is_name, numeric_address, parse, written


class Indexable:
    def __init__(self, number: int) -> None:
        self.number = number

    def __index__(self) -> int:
        return self.number


class Numeric:
    def __int__(self) -> int:
        return 80


def outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call returns, or what its exception says to a program."""
    try:
        return call(*arguments)
    except (OSError, TypeError, ValueError, ArithmeticError) as error:
        return type(error), str(error)


NO_PORTS = (
    -1,
    65536,
    1 << 40,
    -(1 << 40),
    "80",
    80.0,
    None,
    Numeric(),
    Indexable(-1),
    Indexable(70000),
    b"80",
)
NO_HOSTS: tuple[Any, ...] = (
    None,
    5,
    1.5,
    [],
    "a\0b",
    b"a\0b",
    "\0",
    "é" * 70,
    "a..b.é",
    memoryview(b"127.0.0.1"),
)
NO_ADDRESSES: tuple[Any, ...] = (
    None,
    5,
    "127.0.0.1",
    b"127.0.0.1",
    [],
    ["127.0.0.1", 80],
    {},
    (),
    ("127.0.0.1",),
)

REFUSED: dict[int, list[Any]] = {
    socket.AF_INET: [
        *NO_ADDRESSES,
        ("127.0.0.1", 80, 0),
        *(("127.0.0.1", port) for port in NO_PORTS),
        *((host, 80) for host in NO_HOSTS),
        (None, "80"),
    ],
    socket.AF_INET6: [
        *NO_ADDRESSES,
        ("::1", 80, 0, 0, 0),
        *(("::1", port) for port in NO_PORTS),
        *((host, 80) for host in NO_HOSTS),
        *(("::1", 80, flow) for flow in (-1, 1 << 20, "0", 0.0, None)),
        *(("::1", 80, 0, scope) for scope in ("0", 0.0, None)),
    ],
    AF_UNIX: [
        None,
        5,
        1.5,
        [],
        {},
        ("/path", 80),
        "x" * 108,
        "x" * 200,
        "é" * 54,
        b"x" * 108,
        "\0" + "x" * 108,
        b"\0" + b"x" * 200,
        "\ud800",
    ],
}
CASES = [(family, address) for family, addresses in REFUSED.items() for address in addresses]


@pytest.mark.parametrize("call", ["bind", "connect", "connect_ex"])
@pytest.mark.parametrize(("family", "address"), CASES, ids=repr)
def test_what_is_no_address_is_refused_with_the_systems_own_words(family, address, call):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        systems = outcome(getattr(sock, call), address)
        ours = outcome(parse, sock, address, call)
    assert isinstance(systems, tuple)
    assert ours == systems


TAKEN: dict[int, list[tuple[Any, ...]]] = {
    socket.AF_INET: [
        ("127.0.0.1", 0),
        (b"127.0.0.1", 0),
        (bytearray(b"127.0.0.1"), 0),
        ("", 0),
        (b"", 0),
        ("127.0.0.1", False),
        ("127.0.0.1", Indexable(0)),
    ],
    socket.AF_INET6: [
        ("::1", 0),
        (b"::1", 0),
        ("", 0),
        ("::1", 0, 0),
        ("::1", 0, 0, 0),
        ("::1", 0, 1 << 40, -1),
        ("0:0:0:0:0:0:0:1", 0),
        ("::ffff:127.0.0.1", 0),
    ],
}


@pytest.mark.parametrize(
    ("family", "address"),
    [(family, address) for family, addresses in TAKEN.items() for address in addresses],
    ids=repr,
)
def test_what_is_an_address_becomes_what_the_system_makes_of_it(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        name = sock.getsockname()
        host, port = parse(sock, address, "bind")
        assert numeric_address(host) == (family, numeric_address(name[0])[1])  # type: ignore[index]
        assert port == 0
        assert len(written(family, (host, 80))) == len(name)


@pytest.mark.parametrize("kind", [str, bytes, Path, bytearray, memoryview], ids=lambda kind: kind.__name__)
def test_a_path_is_text_or_bytes_as_it_is_for_the_system(kind):
    with tempfile.TemporaryDirectory() as folder, socket.socket(AF_UNIX) as sock:
        text = f"{folder}/é"
        address = text if kind in (str, Path) else kind(os.fsencode(text))
        if kind is Path:
            address = Path(text)
        systems = outcome(sock.bind, address)
        ours = outcome(parse, sock, address, "bind")
        if systems is None:
            assert ours == (sock.getsockname(), 0)
            assert written(AF_UNIX, ours) == sock.getsockname()
        else:
            assert ours == systems


@pytest.mark.parametrize("name", ["\0pynet-browser-test", "\0é", b"\0pynet\xff"])
def test_an_abstract_name_is_written_as_bytes(name):
    with socket.socket(AF_UNIX) as sock:
        sock.bind(name)
        assert written(AF_UNIX, parse(sock, name, "bind")) == sock.getsockname()


def test_the_longest_names_are_as_long_as_the_systems():
    for length in (107, 108):
        for first in (b"\0", b"x"):
            with tempfile.TemporaryDirectory() as folder, socket.socket(AF_UNIX) as sock:
                start = first if first == b"\0" else os.fsencode(folder) + b"/"
                name = start + b"x" * (length - len(start))
                ours, systems = outcome(parse, sock, name, "bind"), outcome(sock.bind, name)
                assert (isinstance(ours[0], type)) == (systems is not None)


def test_everybody_has_a_name_of_its_own():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert parse(sock, ("<broadcast>", 9), "sendto") == ("255.255.255.255", 9)


def test_a_nameless_sender_is_written_as_nothing():
    assert [written(family, None) for family in REFUSED] == [None, None, None]


@pytest.mark.parametrize(
    ("family", "end", "address"),
    [
        (socket.AF_INET, ("127.0.0.1", 80), ("127.0.0.1", 80)),
        (socket.AF_INET6, ("0:0:0:0:0:0:0:1", 80), ("::1", 80, 0, 0)),
        (socket.AF_INET6, ("2001:db8:0:0:1:0:0:1", 80), ("2001:db8::1:0:0:1", 80, 0, 0)),
        (AF_UNIX, ("/tmp/a", 0), "/tmp/a"),
        (AF_UNIX, ("", 0), ""),
    ],
)
def test_an_address_is_written_in_pythons_form(family, end, address):
    assert written(family, end) == address


def test_an_ipv6_address_is_written_as_the_system_writes_it():
    for groups in itertools.product((0, 1, 0xABC), repeat=8):
        if sum(map(bool, groups)) not in (0, 1, 2, 7, 8):
            continue
        text = ":".join(f"{group:x}" for group in groups)
        packed = socket.inet_pton(socket.AF_INET6, text)
        host = written(socket.AF_INET6, (text, 1))[0]
        if "." not in socket.inet_ntop(
            socket.AF_INET6, packed
        ):  # ::1.2.3.4: deprecated, and written in either form
            assert host == socket.inet_ntop(socket.AF_INET6, packed)


def test_the_zone_of_an_address_stays_here():
    with socket.socket(socket.AF_INET6) as sock:
        assert parse(sock, ("fe80::1%eth0", 80), "connect") == ("fe80::1", 80)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="ipaddress writes it otherwise")
def test_an_ipv4_address_within_ipv6_is_written_as_the_system_writes_it():
    assert written(socket.AF_INET6, ("0:0:0:0:0:ffff:7f00:1", 80))[0] == "::ffff:127.0.0.1"


@pytest.mark.parametrize(
    ("family", "host", "name"),
    [
        (socket.AF_INET, "127.0.0.1", False),
        (socket.AF_INET6, "::1", False),
        (socket.AF_INET, "localhost", True),
        (socket.AF_INET, "127.1", True),
        # getaddrinfo then says that the host has no address of this family
        (socket.AF_INET, "::1", True),
        (socket.AF_INET6, "127.0.0.1", True),
        (AF_UNIX, "localhost", False),
        (AF_UNIX, "", False),
    ],
)
def test_a_host_is_looked_up_unless_it_is_an_address_of_the_family(family, host, name):
    assert is_name(family, host) is name


def test_a_family_that_nobody_knows_is_refused():
    class Strange:
        family = 77

    with pytest.raises(OSError, match=r"^bind\(\): bad family$"):
        parse(Strange(), ("127.0.0.1", 80), "bind")  # type: ignore[arg-type]
