"""Calls that tell or take addresses with the data: the system's sockets, and a page that knows addresses."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import pytest

from pynet_browser.runtime import Network
from pynet_browser.stdlib.addresses import AF_UNIX
from pynet_browser.stdlib.datagrams import Calls


class Page:
    """Knows where the last datagram came from, and what becomes of those that are sent."""

    def __init__(self) -> None:
        self.last: tuple[str, int, int] | None = None
        self.sent: list[tuple[bytes, str, int]] = []
        self.results: list[int | str] = []

    def sender(self, _fd: int) -> tuple[str, int, int] | None:
        return self.last

    def addresses(self, _fd: int) -> Any:
        return ("", 0), ("/path", 0)

    def send_to(self, _fd: int, data: memoryview, host: str, port: int) -> int | str:
        self.sent.append((data.tobytes(), host, port))
        return self.results.pop(0) if self.results else data.nbytes


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def calls(page) -> Calls:
    return Calls(cast(Network, page))


@pytest.fixture
def udp() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A sender and a receiver."""
    with (
        socket.socket(type=socket.SOCK_DGRAM) as sender,
        socket.socket(type=socket.SOCK_DGRAM) as receiver,
    ):
        receiver.bind(("127.0.0.1", 0))
        sender.connect(receiver.getsockname())
        yield sender, receiver


@pytest.fixture
def stream() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call returns, or what its exception says to a program."""
    try:
        return call(*arguments)
    except (OSError, TypeError, ValueError, OverflowError) as error:
        return type(error), getattr(error, "errno", None)


# ── Receiving ─────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_received_comes_with_its_sender(calls, page, udp):
    sender, receiver = udp
    page.last = ("10.0.0.1", 53, 5)
    for _ in range(4):
        sender.send(b"hello")
    buffer = bytearray(3)
    assert calls.recvfrom()(receiver, 100) == (b"hello", ("10.0.0.1", 53))
    assert calls.recvfrom_into()(receiver, buffer) == (3, ("10.0.0.1", 53))
    assert calls.recvmsg()(receiver, 100) == (b"hello", [], 0, ("10.0.0.1", 53))
    assert calls.recvmsg_into()(receiver, [buffer, bytearray(4)]) == (5, [], 0, ("10.0.0.1", 53))
    assert buffer == b"hel"


def test_what_was_cut_is_told_by_recvmsg(calls, page, udp):
    sender, receiver = udp
    page.last = ("10.0.0.1", 53, 5)
    for _ in range(2):
        sender.send(b"hello")
    assert calls.recvmsg()(receiver, 2) == (b"he", [], socket.MSG_TRUNC, ("10.0.0.1", 53))
    pieces = [bytearray(1), bytearray(0), bytearray(2)]
    assert calls.recvmsg_into()(receiver, pieces)[:3] == (3, [], socket.MSG_TRUNC)
    assert pieces == [b"h", b"", b"el"]


def test_a_datagram_of_which_nothing_is_wanted_is_taken(calls, page, udp):
    sender, receiver = udp
    receiver.settimeout(10)
    for data in (b"lost", b"next"):
        sender.send(data)
    assert calls.recvfrom()(receiver, 0)[0] == b""
    assert calls.recvfrom()(receiver, 100)[0] == b"next"


def test_a_stream_has_no_senders(calls, page, stream):
    page.last = ("10.0.0.1", 53, 5)
    stream[0].send(b"hello")
    assert calls.recvfrom()(stream[1], 3) == (b"hel", None)
    assert calls.recvmsg()(stream[1], 1) == (b"l", [], 0, None)


def test_who_has_no_name_sends_without(calls, page):
    one, other = socket.socketpair(AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        for last in (None, ("", 0, 1)):
            page.last = last
            one.send(b"x")
            assert calls.recvfrom()(other, 10) == (b"x", None)


@pytest.mark.parametrize("arguments", [(-1,), ("5",), (5, "0"), (5, 0, 0), ()])
def test_what_recvfrom_cannot_be_given_is_refused_as_by_python(calls, udp, arguments):
    receiver = udp[1]
    receiver.setblocking(False)
    recvfrom = calls.recvfrom()
    assert outcome(recvfrom, receiver, *arguments) == outcome(socket.socket.recvfrom, receiver, *arguments)


@pytest.mark.parametrize("arguments", [(5, -1), (-5,), ("5",), (5, 0, "0")])
def test_what_recvmsg_cannot_be_given_is_refused_as_by_python(calls, udp, arguments):
    receiver = udp[1]
    receiver.setblocking(False)
    recvmsg = calls.recvmsg()
    assert outcome(recvmsg, receiver, *arguments) == outcome(socket.socket.recvmsg, receiver, *arguments)


@pytest.mark.parametrize("arguments", [(None,), ([b"constant"],), (["text"],), ([5],), ([bytearray(5)], -1)])
def test_what_recvmsg_into_cannot_be_given_is_refused_as_by_python(calls, udp, arguments):
    sender, receiver = udp
    for _ in range(2):
        sender.send(b"hello")
    recvmsg_into = calls.recvmsg_into()
    ours = outcome(recvmsg_into, receiver, *arguments)
    assert ours == outcome(socket.socket.recvmsg_into, receiver, *arguments)


# ── Sending ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_datagram_is_sent_whole_to_the_address_that_is_meant(calls, page, udp):
    sendto, sendmsg, sock = calls.sendto(), calls.sendmsg(), udp[0]
    assert sendto(sock, b"one", ("127.0.0.1", 53)) == 3
    assert sendto(sock, memoryview(b"..two..")[2:5], 0, ("", 53)) == 3
    assert sendto(sock, bytearray(b"three"), socket.MSG_NOSIGNAL, ("<broadcast>", 53)) == 5
    assert sendmsg(sock, [b"fo", b"", bytearray(b"ur")], [], 0, ("127.0.0.1", 53)) == 4
    assert page.sent == [
        (b"one", "127.0.0.1", 53),
        (b"two", "0.0.0.0", 53),
        (b"three", "255.255.255.255", 53),
        (b"four", "127.0.0.1", 53),
    ]


def test_a_host_is_looked_up_in_the_sockets_family(calls, page, udp, monkeypatch):
    asked: list[Any] = []

    def getaddrinfo(*arguments: Any) -> Any:
        asked.append(arguments)
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("192.0.2.1", 53))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    calls.sendto()(udp[0], b"x", ("host.example", 53))
    assert page.sent == [(b"x", "192.0.2.1", 53)]
    assert asked == [("host.example", 53, socket.AF_INET, socket.SOCK_DGRAM)]


def test_an_address_of_another_family_is_told_so_by_getaddrinfo(calls, page, udp):
    with pytest.raises(socket.gaierror) as ours:
        calls.sendto()(udp[0], b"x", ("::1", 53))
    with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(socket.gaierror) as systems:
        sock.sendto(b"x", ("::1", 53))
    assert ours.value.errno == systems.value.errno
    assert not page.sent


@pytest.mark.parametrize("code", ["EAGAIN", "EDEADLK"])
def test_where_there_is_no_room_it_is_waited_for(calls, page, udp, code):
    page.results = [code, code]
    assert calls.sendto()(udp[0], b"abc", ("127.0.0.1", 53)) == 3
    assert len(page.sent) == 3


def test_what_fails_is_an_exception(calls, page, udp):
    page.results = ["EMSGSIZE"]
    with pytest.raises(OSError) as caught:  # noqa: PT011
        calls.sendto()(udp[0], b"abc", ("127.0.0.1", 53))
    assert caught.value.errno == errno.EMSGSIZE


@pytest.mark.parametrize(
    "arguments",
    [
        (b"x",),
        (b"x", 0, ("127.0.0.1", 9), 0),
        (b"x", "127.0.0.1"),
        (b"x", "0", ("127.0.0.1", 9)),
        (b"x", 0, None),
        (b"x", ("127.0.0.1", 70000)),
        (b"x", ("127.0.0.1",)),
        ("text", ("127.0.0.1", 9)),
        (5, ("127.0.0.1", 9)),
    ],
    ids=repr,
)
def test_what_sendto_cannot_be_given_is_refused_as_by_python(calls, page, udp, arguments):
    ours = outcome(calls.sendto(), udp[0], *arguments)
    assert ours == outcome(socket.socket.sendto, udp[0], *arguments)
    assert not page.sent


@pytest.mark.parametrize(
    "arguments", [(None,), (b"x",), (["text"],), ([5],), ([b"x"], None), ([b"x"], [], "0")], ids=repr
)
def test_what_sendmsg_cannot_be_given_is_refused_as_by_python(calls, udp, arguments):
    ours = outcome(calls.sendmsg(), udp[0], *arguments)
    assert ours == outcome(socket.socket.sendmsg, udp[0], *arguments)


def test_flags_that_nothing_can_be_made_of_are_refused(calls, page, udp):
    with pytest.raises(OSError) as caught:  # noqa: PT011
        calls.sendto()(udp[0], b"x", socket.MSG_OOB, ("127.0.0.1", 53))
    assert caught.value.errno == errno.EOPNOTSUPP
    assert not page.sent


def test_ancillary_data_cannot_leave_the_page(calls, stream):
    with pytest.raises(OSError) as caught:  # noqa: PT011
        calls.sendmsg()(stream[0], [b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, bytes(4))])
    assert caught.value.errno == errno.EINVAL


def test_a_stream_sends_to_its_peer(calls, page, stream):
    assert calls.sendmsg()(stream[0], [b"d", b"ef"]) == 3
    assert stream[1].recv(10) == b"def"
    assert not page.sent


def test_a_stream_at_a_path_that_is_connected_needs_no_address(calls, stream):
    for sendto in (partial(calls.sendto(), stream[0]), stream[0].sendto):
        with pytest.raises(OSError) as caught:  # noqa: PT011
            sendto(b"abc", "/path")
        assert caught.value.errno == errno.EISCONN


def test_tcp_sends_to_its_peer_whatever_the_address(calls, page):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        assert calls.sendto()(client, b"abc", ("10.0.0.1", 9)) == 3
        with server.accept()[0] as accepted:
            assert accepted.recv(10) == b"abc"
    assert not page.sent


def test_of_many_buffers_a_stream_takes_what_can_leave_at_once(calls, stream):
    taken = 0

    def buffers() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield bytes(64 * 1024)

    stream[0].setblocking(False)
    assert 0 < calls.sendmsg()(stream[0], buffers()) <= 512 * 1024
    assert taken == 8
