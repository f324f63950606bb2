"""Our ``select.select`` beside the system's: what it takes, what it refuses, what it answers."""

from __future__ import annotations

import errno
import itertools
import math
import os
import select as system
import socket
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from pynet_browser.stdlib.select import select


class Pollable:
    """Anything with a ``fileno`` method."""

    def __init__(self, descriptor: Any) -> None:
        self.descriptor = descriptor

    def fileno(self) -> Any:
        return self.descriptor


class Indexable:
    def __index__(self) -> int:
        return 0


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection; nothing was sent yet."""
    one, other = socket.socketpair()
    with one, other:
        yield one, other


REFUSED: dict[str, tuple[Any, Any, Any, Any]] = {
    "a negative timeout": ([], [], [], -1),
    "a timeout that is text": ([], [], [], "1"),
    "a timeout that is decimal": ([], [], [], Decimal(0)),
    "a timeout that is no number": ([], [], [], math.nan),
    "a timeout without end that is not None": ([], [], [], math.inf),
    "no list": (None, [], [], 0),
    "a number for a list": ([], 5, [], 0),
    "text in a list": (["x"], [], [], 0),
    "a float in a list": ([], [1.0], [], 0),
    "an index in a list": ([], [], [Indexable()], 0),
    "a negative descriptor": ([-1], [], [], 0),
    "an object with a negative descriptor": ([Pollable(-1)], [], [], 0),
    "an object whose descriptor is text": ([Pollable("x")], [], [], 0),
    "an object without a descriptor": ([Pollable(None)], [], [], 0),
    "a descriptor beyond any": ([1 << 40], [], [], 0),
    "two mistakes": (["x"], [], [], -1),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_system_refuses_is_refused_in_the_same_way(what):
    arguments = REFUSED[what]
    with pytest.raises(Exception) as expected:  # noqa: PT011  whatever it is
        system.select(*arguments)
    with pytest.raises(expected.type) as raised:
        select(*arguments)
    assert raised.type is expected.type


def test_a_descriptor_that_is_not_open_is_an_error():
    reading, writing = os.pipe()
    os.close(reading)
    try:
        for read, write, exceptional in itertools.permutations(([writing, reading], [], [])):
            with pytest.raises(OSError, match="Bad file descriptor") as raised:
                select(read, write, exceptional, 0)
            assert raised.value.errno == errno.EBADF
    finally:
        os.close(writing)


def answers(*arguments: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """What both say, which must be the same."""
    ours = select(*arguments)
    assert ours == system.select(*arguments)
    return ours


@pytest.mark.parametrize("timeout", [0, 0.0, -0.0, False, 0.001])
def test_nothing_is_ready_where_nothing_is_asked_for(timeout):
    assert answers([], [], [], timeout) == ([], [], [])


def test_a_socket_is_in_the_lists_it_is_ready_for(pair):
    one, other = pair
    assert answers([one], [one], [one], 0) == ([], [one], [])
    other.send(b"x")
    assert answers([one, other], [other], [one], 0) == ([one], [other], [])


def test_the_end_and_an_error_make_readable(pair):
    one, other = pair
    other.close()
    assert answers([one], [], [one], 0) == ([one], [], [])


def test_a_pipe_that_nobody_reads_is_writable():
    reading, writing = os.pipe()
    os.close(reading)
    assert answers([writing], [writing], [], 0) == ([writing], [writing], [])
    os.close(writing)


def test_answers_are_the_objects_that_were_given_as_often_as_they_were(pair):
    one, other = pair
    other.send(b"x")
    wrapped = Pollable(one.fileno())
    given = [one, wrapped, one.fileno(), one]
    readable, writable, _ = answers(given, given[:2], [], 0)
    assert [id(each) for each in readable] == [id(each) for each in given]
    assert writable == given[:2]


def test_lists_may_be_anything_that_can_be_gone_through(pair):
    one, other = pair
    other.send(b"x")
    assert select((each for each in [one]), {other: 1}, (), 0) == ([one], [other], [])


def test_without_a_timeout_it_waits_until_something_is_ready(pair):
    one, other = pair
    other.send(b"x")
    assert answers([one], [], []) == ([one], [], [])
    assert answers([one], [], [], None) == ([one], [], [])


class Poller:
    """Records how long it was to wait."""

    waited: list[float | None]

    def __init__(self) -> None:
        self.waited = []

    def register(self, descriptor: int, events: int) -> None:
        pass

    def poll(self, milliseconds: float | None) -> list[tuple[int, int]]:
        self.waited.append(milliseconds)
        return []


@pytest.mark.parametrize(
    ("timeout", "milliseconds"),
    [(None, None), (0, 0), (1, 1000), (0.0001, 1), (1.5, 1500), (1e9, 2**31 - 1)],
)
def test_it_never_waits_less_than_asked_nor_longer_than_poll_can(monkeypatch, timeout, milliseconds):
    poller = Poller()
    monkeypatch.setattr("pynet_browser.stdlib.select.select_module.poll", lambda: poller)
    assert select([0], [], [], timeout) == ([], [], [])
    assert poller.waited == [milliseconds]


def test_to_wait_for_nothing_without_a_timeout_is_to_wait_for_ever(monkeypatch):
    poller = Poller()
    monkeypatch.setattr("pynet_browser.stdlib.select.select_module.poll", lambda: poller)
    select([], [], [])
    assert poller.waited == [None]


def test_to_wait_for_nothing_is_to_sleep(monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr("pynet_browser.stdlib.select.time.sleep", slept.append)
    assert select([], [], [], 0.25) == ([], [], [])
    assert slept == [0.25]
