"""The selector of the page's event loop: what it asks of the page, and what it makes of poll's events."""

from __future__ import annotations

import select
import selectors
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from pynet_browser.runtime import Watchlist
from pynet_browser.stdlib.selector import PageSelector

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Watched:
    """A watchlist that is told what is ready."""

    def __init__(self) -> None:
        self.events: dict[int, int] = {}
        self.ready: list[tuple[int, int]] = []
        self.refuses = ""
        self.rearmed = 0
        self.closed = False

    def watch(self, fd: int, events: int) -> str:
        if not self.refuses:
            self.events[fd] = events
        return self.refuses

    def forget(self, fd: int) -> None:
        del self.events[fd]

    def take(self) -> list[tuple[int, int]]:
        return self.ready

    def rearm(self) -> None:
        self.rearmed += 1

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def selector(watched) -> PageSelector:
    return PageSelector(cast(Watchlist, watched))


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


@pytest.mark.parametrize(
    ("events", "polled"),
    [(READ, select.POLLIN), (WRITE, select.POLLOUT), (READ | WRITE, select.POLLIN | select.POLLOUT)],
)
def test_what_is_registered_is_watched_for_polls_events(selector, watched, pair, events, polled):
    key = selector.register(pair[0], events, "data")
    assert (key.fd, key.events, key.data) == (pair[0].fileno(), events, "data")
    assert watched.events == {pair[0].fileno(): polled}


def test_what_is_modified_is_watched_for_the_new_events(selector, watched, pair):
    selector.register(pair[0], READ)
    selector.modify(pair[0], WRITE, "data")
    assert watched.events == {pair[0].fileno(): select.POLLOUT}
    assert selector.get_key(pair[0]).data == "data"


def test_what_is_unregistered_is_watched_no_more(selector, watched, pair):
    selector.register(pair[0], READ)
    selector.unregister(pair[0])
    assert watched.events == {}
    with pytest.raises(KeyError):
        selector.unregister(pair[0])


@pytest.mark.parametrize(("code", "kind"), [("EPERM", PermissionError), ("EBADF", OSError)])
def test_what_cannot_be_watched_is_not_registered(selector, watched, pair, code, kind):
    watched.refuses = code
    with pytest.raises(kind):
        selector.register(pair[0], READ)
    assert not selector.get_map()
    watched.refuses = ""
    selector.register(pair[0], READ)


def test_what_is_ready_comes_with_its_key(selector, watched, pair):
    one, other = (each.fileno() for each in pair)
    for sock in pair:
        selector.register(sock, READ | WRITE)
    watched.ready = [(other, select.POLLOUT), (one, select.POLLIN)]
    assert [(key.fd, events) for key, events in selector.select()] == [(other, WRITE), (one, READ)]
    watched.ready = [(99_999, select.POLLIN)]
    assert selector.select(5) == []  # it never waits


EVENTS = [
    select.POLLIN,
    select.POLLOUT,
    select.POLLERR,
    select.POLLHUP,
    select.POLLIN | select.POLLHUP,
    select.POLLOUT | select.POLLERR,
]


@pytest.mark.parametrize("asked", [READ, WRITE, READ | WRITE])
@pytest.mark.parametrize("polled", EVENTS)
def test_events_mean_what_they_mean_to_pythons_own_selector(selector, watched, asked, polled):
    class Poll:
        def register(self, *_: Any) -> None:
            """Nothing to do."""

        def poll(self, _timeout: float) -> list[tuple[int, int]]:
            return [(0, polled)]

    systems = selectors.PollSelector()
    systems._selector = Poll()  # type: ignore[attr-defined]
    systems.register(0, asked)
    selector.register(0, asked)
    watched.ready = [(0, polled)]
    ours = [(key.fd, events) for key, events in selector.select()]
    assert ours == [(key.fd, events) for key, events in systems.select(0)]


def test_a_round_ends_with_rearm(selector, watched):
    selector.select()
    assert watched.rearmed == 0
    selector.rearm()
    assert watched.rearmed == 1


def test_a_selector_that_is_closed_watches_nothing(selector, watched, pair):
    selector.register(pair[0], READ)
    selector.close()
    assert watched.closed
    with pytest.raises(RuntimeError):
        selector.get_key(pair[0])
