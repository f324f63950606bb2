"""Calls that give sockets their addresses: the system's sockets, and a page in the hands of a test."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from pynet_browser.errors import BlockingError, PolicyError
from pynet_browser.runtime import Network, Reply
from pynet_browser.stdlib.endpoints import Calls, deferred
from tests.unit.page import Later, Plain, Standing, reply


class Page:
    """Answers every request alike, and knows the addresses that it is given."""

    waits = True

    def __init__(self, answer: Reply | None = None, *, pending: int = 0) -> None:
        self.answer = answer or reply(pending=pending)
        self.asked: list[tuple[Any, ...]] = []
        self.taken: list[int | str] = []
        self.ends: Any = (("127.0.0.1", 8080), None)
        self.settling: Reply | None = None

    def bind(self, _fd: int, *address: Any) -> Reply:
        self.asked.append(("bind", *address))
        return self.answer

    def listen(self, _fd: int, backlog: int) -> Reply:
        self.asked.append(("listen", backlog))
        return self.answer

    def connect(self, _fd: int, *address: Any) -> Reply:
        self.asked.append(("connect", *address))
        return self.answer

    def accept(self, _fd: int) -> int | str:
        return self.taken.pop(0)

    def addresses(self, _fd: int) -> Any:
        return self.ends

    def settled(self, _fd: int) -> Reply | None:
        return self.settling


def calls(page: Page) -> Calls:
    return Calls(cast(Network, page))


@pytest.fixture
def tcp() -> Iterator[socket.socket]:
    with socket.socket() as sock:
        yield sock


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        yield sock


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


# ── bind and listen ───────────────────────────────────────────────────────────────────────────────────


def test_bind_asks_for_the_address_that_is_meant(tcp):
    page = Page()
    bind = calls(page).bind()
    for host in ("127.0.0.1", ""):
        bind(tcp, (host, 80))
    assert page.asked == [("bind", "127.0.0.1", 80), ("bind", "0.0.0.0", 80)]


@pytest.mark.parametrize(("backlog", "asked"), [((), 128), ((5,), 5), ((0,), 0), ((-1,), 0), ((True,), 1)])
def test_listen_asks_for_a_backlog_that_is_none_below_zero(tcp, backlog, asked):
    page = Page()
    calls(page).listen()(tcp, *backlog)
    assert page.asked == [("listen", asked)]


def test_a_backlog_must_be_an_integer(tcp):
    with pytest.raises(TypeError):
        calls(Page()).listen()(tcp, "5")


@pytest.mark.parametrize("name", ["bind", "connect"])
def test_what_is_refused_is_an_exception(udp, name):
    page = Page(reply(error="EACCES", message="not here"))
    with pytest.raises(PolicyError, match="not here"):
        getattr(calls(page), name)()(udp, ("10.0.0.1", 80))


def test_an_address_that_is_none_is_not_asked_for(tcp):
    page = Page()
    with pytest.raises(OverflowError):
        calls(page).bind()(tcp, ("127.0.0.1", 70000))
    assert not page.asked


# ── Waits that are left to others ─────────────────────────────────────────────────────────────────────


async def test_what_cannot_be_waited_for_says_so(tcp):
    with pytest.raises(BlockingError):
        calls(Page(Later())).bind()(tcp, ("127.0.0.1", 80))


async def test_within_a_block_that_defers_it_is_left_to_whoever_can_await_it(tcp, udp):
    later = Later()
    page = Page(later)
    with deferred() as replies:
        calls(page).bind()(tcp, ("127.0.0.1", 80))
        calls(page).listen()(tcp, 5)
        calls(page).connect()(udp, ("10.0.0.1", 80))
    assert replies == [later] * 3
    with pytest.raises(BlockingError):
        calls(page).bind()(tcp, ("127.0.0.1", 80))
    assert len(replies) == 3


async def test_an_answer_that_is_here_is_not_deferred(tcp):
    with deferred() as replies, pytest.raises(OSError, match="taken"):
        calls(Page(reply(error="EADDRINUSE", message="taken"))).bind()(tcp, ("127.0.0.1", 80))
    assert not replies


async def test_blocks_that_defer_can_be_within_each_other(tcp):
    bind = calls(Page(Later())).bind()
    with deferred() as outer:
        bind(tcp, ("127.0.0.1", 80))
        with deferred() as inner:
            bind(tcp, ("127.0.0.1", 80))
        bind(tcp, ("127.0.0.1", 80))
    assert (len(outer), len(inner)) == (2, 1)


async def test_a_block_that_defers_ends_with_an_exception_too(tcp):
    with pytest.raises(ZeroDivisionError), deferred():
        raise ZeroDivisionError
    with pytest.raises(BlockingError):
        calls(Page(Later())).bind()(tcp, ("127.0.0.1", 80))


# ── accept ────────────────────────────────────────────────────────────────────────────────────────────


def test_accept_takes_what_is_there(tcp):
    page = Page()
    page.taken, page.ends = [7], (("127.0.0.1", 8080), ("10.0.0.1", 99))
    assert calls(page).accept()(tcp) == (7, ("10.0.0.1", 99))


def test_accept_waits_until_there_is_something(pair):
    one, other = pair
    page = Page()
    page.taken, page.ends = ["EAGAIN", 7], (("/path", 0), ("", 0))
    other.send(b"ready")
    assert calls(page).accept()(one) == (7, "")


@pytest.mark.parametrize(("timeout", "kind"), [(0, BlockingIOError), (0.01, TimeoutError)])
def test_accept_waits_no_longer_than_it_may(pair, timeout, kind):
    page = Page()
    page.taken = ["EAGAIN"]
    pair[0].settimeout(timeout)
    with pytest.raises(kind):
        calls(page).accept()(pair[0])


def test_accept_says_what_is_wrong(tcp):
    page = Page()
    page.taken = ["EINVAL"]
    with pytest.raises(OSError) as caught:  # noqa: PT011
        calls(page).accept()(tcp)
    assert caught.value.errno == errno.EINVAL


# ── connect ───────────────────────────────────────────────────────────────────────────────────────────


def test_connect_without_blocking_is_in_progress(tcp):
    page = Page(pending=1)
    tcp.setblocking(False)
    with pytest.raises(BlockingIOError) as caught:
        calls(page).connect()(tcp, ("host.example", 80))
    assert caught.value.errno == errno.EINPROGRESS
    assert page.asked == [("connect", "host.example", 80)]
    assert calls(page).connect_ex()(tcp, ("host.example", 80)) == errno.EINPROGRESS


def test_connect_within_the_page_is_done_at_once(pair):
    pair[0].setblocking(False)
    calls(Page()).connect()(pair[0], "/path")
    assert calls(Page()).connect_ex()(pair[0], "/path") == 0


def test_connect_waits_and_asks_again_how_it_ended(pair):
    class Deciding(Page):
        """Decided by the second call."""

        def connect(self, _fd: int, *address: Any) -> Reply:
            self.asked.append(address)
            return [reply(pending=1), self.answer][len(self.asked) - 1]

    page = Deciding()
    calls(page).connect()(pair[0], "/path")
    assert page.asked == [("/path", 0)] * 2
    refused = Deciding(reply(error="ECONNREFUSED", message="nobody listens"))
    with pytest.raises(ConnectionRefusedError, match="nobody listens"):
        calls(refused).connect()(pair[0], "/path")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({}, 0),
        ({"error": "EISCONN", "message": ""}, errno.EISCONN),
        ({"error": "EACCES", "message": "not there"}, errno.EACCES),
        ({"error": "EAI_NONAME", "message": "no such name"}, socket.gaierror),
        ({"error": "EDEADLK", "message": ""}, OSError),
    ],
)
def test_connect_ex_tells_the_systems_errors_by_number_and_raises_others(udp, answer, outcome):
    connect_ex = calls(Page(reply(**answer))).connect_ex()
    if isinstance(outcome, int):
        assert connect_ex(udp, ("host.example", 80)) == outcome
    else:
        with pytest.raises(outcome):
            connect_ex(udp, ("host.example", 80))


def test_connect_ex_tells_a_timeout_of_its_own_by_number(pair):
    one, other = pair
    one.setblocking(False)
    while True:
        try:
            one.send(bytes(1 << 16))
        except BlockingIOError:
            break
    one.settimeout(0.01)
    assert calls(Page(pending=1)).connect_ex()(one, "/path") == errno.EAGAIN
    assert other.recv(1)


def test_connect_ex_raises_for_what_is_no_address(tcp):
    with pytest.raises(TypeError):
        calls(Page()).connect_ex()(tcp, "host.example")


# ── getsockname and getpeername ───────────────────────────────────────────────────────────────────────


def test_names_are_told_in_pythons_form(tcp):
    page = Page()
    page.ends = (("127.0.0.1", 8080), ("10.0.0.1", 99))
    assert calls(page).getsockname()(tcp) == ("127.0.0.1", 8080)
    assert calls(page).getpeername()(tcp) == ("10.0.0.1", 99)


def test_who_has_no_peer_is_not_connected(tcp):
    with pytest.raises(OSError) as caught:  # noqa: PT011
        calls(Page()).getpeername()(tcp)
    assert caught.value.errno == errno.ENOTCONN


def test_what_is_no_socket_has_no_name(tcp):
    page = Page()
    page.ends = None
    for name in ("getsockname", "getpeername"):
        with pytest.raises(OSError) as caught:  # noqa: PT011
            getattr(calls(page), name)()(tcp)
        assert caught.value.errno == errno.EBADF


async def test_a_name_that_is_being_asked_for_is_waited_for_where_that_is_possible(tcp):
    class Waited(Reply):
        def wait(self) -> dict[str, Any]:
            page.ends = (("127.0.0.1", 9999), None)
            return {}

    page = Page()
    page.ends = (("0.0.0.0", 0), None)
    page.settling = Waited("getsockname", Standing(), Plain({}))
    page.waits = False
    assert calls(page).getsockname()(tcp) == ("0.0.0.0", 0)
    page.waits = True
    assert calls(page).getsockname()(tcp) == ("127.0.0.1", 9999)
