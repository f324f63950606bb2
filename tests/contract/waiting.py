"""What waiting for sockets promises: select, poll and selectors, for sockets of every kind in every state."""

import contextlib
import errno
import functools
import os
import select
import selectors
import socket
import time
import typing

from tests.contract.cases import (
    PATIENCE,
    accepting,
    await_events,
    bound_datagram,
    connecting,
    equal,
    event_names,
    events_now,
    listening,
    raising,
    read_all,
    suite,
)
from tests.contract.ends import KINDS, over, tcp
from tests.contract.states import STATES

CASES, case = suite()

EVERY = select.POLLIN | select.POLLPRI | select.POLLOUT | select.POLLRDHUP

EVENTS = {
    "fresh": "OUT HUP",
    "bound": "OUT HUP",
    "listening_for_others": "",
    "listening_with_a_connection": "IN",
    "listening_no_more": "OUT HUP",
    "connecting_to_silence": "",
    "refused": "IN OUT ERR HUP RDHUP",
    "refused_and_told": "IN OUT HUP RDHUP",
    "refused_while_blocking": "OUT HUP",
    "connected_without_blocking": "OUT",
    "connected": "OUT",
    "accepted": "OUT",
    "with_data": "IN OUT",
    "peer_shut": "IN OUT RDHUP",
    "peer_closed": "IN OUT RDHUP",
    "peer_closed_after_data": "IN OUT RDHUP",
    "peer_reset": "IN OUT ERR HUP RDHUP",
    "peer_reset_and_told": "IN OUT HUP RDHUP",
    "shut_for_reading": "IN OUT RDHUP",
    "shut_for_writing": "OUT",
    "shut": "IN OUT HUP RDHUP",
    "shut_by_both": "IN OUT HUP RDHUP",
    "fresh6": "OUT HUP",
    "connected6": "OUT",
    "datagram": "OUT",
    "datagram_bound": "OUT",
    "datagram_connected": "OUT",
    "datagram_with_data": "IN OUT",
    "datagram_refused": "OUT ERR",
    "datagram_shut": "IN OUT HUP RDHUP",
    "datagram6": "OUT",
    "unix_fresh": "OUT HUP",
    "unix_bound": "OUT HUP",
    "unix_listening": "",
    "unix_connected": "OUT",
    "unix_accepted": "OUT",
    "unix_peer_closed": "IN OUT HUP RDHUP",
    "unix_peer_closed_without_reading": "IN OUT ERR HUP RDHUP",
    "unix_datagram": "OUT",
    "unix_datagram_bound": "OUT",
    "unix_datagram_connected": "OUT",
    "pair": "OUT",
    "pair_peer_closed": "IN OUT HUP RDHUP",
    "pair_shut_for_writing": "OUT",
    "datagram_pair": "OUT",
    "datagram_pair_peer_closed": "OUT",
}
"""What poll reports in each state, when it is asked for everything."""


def _in_state(state, make):
    @functools.wraps(make)
    def case(**needs):
        with make(**needs) as sock:
            equal(event_names(events_now(sock, EVERY)), EVENTS[state])
            # HUP and ERR come unasked; select calls readable what has ended, and writable what failed.
            events = set(EVENTS[state].split())
            equal(event_names(events_now(sock, 0)), " ".join(e for e in ("ERR", "HUP") if e in events))
            readable, writable, exceptional = select.select([sock], [sock], [sock], 0)
            equal(bool(readable), bool(events & {"IN", "ERR", "HUP"}))
            equal(bool(writable), bool(events & {"OUT", "ERR"}))
            equal(exceptional, [])

    return case


for _state in EVENTS:
    CASES[f"poll_and_select_tell_of_{_state}"] = _in_state(_state, STATES[_state])


# ── How long ────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def between(least, most):
    """Expects that something takes so long (s)."""
    start = time.monotonic()
    yield
    spent = time.monotonic() - start
    assert least <= spent < most, f"it took {spent} s"


@over(CASES, *KINDS)
def waiting_ends_when_the_time_is_over(one, other):
    poller = select.poll()
    poller.register(one, select.POLLIN)
    with between(0.15, 5):
        equal(select.select([one, other], [], [], 0.2), ([], [], []))
    with between(0.15, 5):
        equal(poller.poll(200), [])
    with between(0.15, 5), selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ)
        equal(selector.select(0.2), [])
    with between(0, 5):
        equal(select.select([one], [], [], 0), ([], [], []))
        equal(poller.poll(0), [])


@over(CASES, *KINDS)
def waiting_ends_with_the_first_that_is_ready(one, other):
    poller = select.poll()
    poller.register(one, select.POLLIN)
    other.sendall(b"x")
    equal(select.select([one, other], [], []), ([one], [], []))
    equal(poller.poll(), [(one.fileno(), select.POLLIN)])
    equal(poller.poll(None), [(one.fileno(), select.POLLIN)])
    equal(poller.poll(-1), [(one.fileno(), select.POLLIN)])
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, "one")
        selector.register(other, selectors.EVENT_READ, "other")
        equal([(key.data, events) for key, events in selector.select()], [("one", selectors.EVENT_READ)])


@case
def nothing_to_wait_for_is_a_sleep():
    with between(0.05, 5):
        equal(select.select([], [], [], 0.1), ([], [], []))
    with between(0.05, 5):
        equal(select.poll().poll(100), [])


# ── Which ───────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def mixture():
    """Sockets of all kinds, none of which can be read, and what makes each readable."""
    one, other = socket.socketpair()
    with (
        tcp() as (client, server),
        one,
        other,
        listening() as listener,
        bound_datagram() as hearing,
        bound_datagram() as speaking,
        contextlib.ExitStack() as stack,
    ):
        yield {
            client: lambda: server.sendall(b"x"),
            one: lambda: other.sendall(b"x"),
            listener: lambda: stack.enter_context(connecting(listener)),
            hearing: lambda: speaking.sendto(b"x", hearing.getsockname()),
        }


@case
def select_tells_apart_sockets_of_every_kind():
    with mixture() as sockets:
        quiet = list(sockets)
        ready = []
        equal(select.select(quiet, [], [], 0), ([], [], []))
        for sock, awake in sockets.items():
            awake()
            await_events(sock)
            ready.append(sock)
            equal(select.select(quiet, [], quiet, PATIENCE), (ready, [], []))


@case
def poll_tells_apart_sockets_of_every_kind():
    with mixture() as sockets:
        poller = select.poll()
        for sock in sockets:
            poller.register(sock, select.POLLIN)
        equal(poller.poll(0), [])
        ready = set()
        for sock, awake in sockets.items():
            awake()
            await_events(sock)
            ready.add((sock.fileno(), select.POLLIN))
            equal(set(poller.poll(PATIENCE * 1000)), ready)
        for sock in sockets:
            poller.unregister(sock)
        equal(poller.poll(0), [])


@case
def selectors_tell_apart_sockets_of_every_kind():
    for kind in (selectors.DefaultSelector, selectors.SelectSelector, selectors.PollSelector):
        with mixture() as sockets, kind() as selector:
            for sock in sockets:
                selector.register(sock, selectors.EVENT_READ)
            equal(selector.select(0), [])
            ready = set()
            for sock, awake in sockets.items():
                awake()
                await_events(sock)
                ready.add((sock, selectors.EVENT_READ))
                equal({(key.fileobj, events) for key, events in selector.select(PATIENCE)}, ready)


@case
def poll_can_be_asked_otherwise():
    with tcp() as (one, other):
        poller = select.poll()
        poller.register(one, select.POLLIN)
        poller.register(other, select.POLLIN | select.POLLOUT)
        equal(poller.poll(1000), [(other.fileno(), select.POLLOUT)])
        poller.modify(other, select.POLLIN)
        equal(poller.poll(0), [])
        poller.register(other, select.POLLOUT)
        equal(poller.poll(0), [(other.fileno(), select.POLLOUT)])
        poller.unregister(other)
        equal(poller.poll(0), [])
        with raising(KeyError):
            poller.unregister(other)
        with raising(FileNotFoundError, errno.ENOENT):
            poller.modify(other, select.POLLIN)


@case
def selectors_tell_whose_turn_it_is():
    for kind in (selectors.DefaultSelector, selectors.SelectSelector, selectors.PollSelector):
        with kind() as selector, tcp() as (one, other):
            selector.register(one, selectors.EVENT_READ, "one")
            selector.register(other, selectors.EVENT_READ | selectors.EVENT_WRITE, "other")
            turns = [(key.data, events) for key, events in selector.select(PATIENCE)]
            equal(turns, [("other", selectors.EVENT_WRITE)])
            selector.modify(other, selectors.EVENT_READ, "other")
            equal(selector.select(0.05), [])
            other.sendall(b"x")
            turns = [(key.data, events) for key, events in selector.select()]
            equal(turns, [("one", selectors.EVENT_READ)])
            with raising(KeyError):
                selector.register(one, selectors.EVENT_READ)


@case
def two_duplicates_are_two():
    with tcp() as (one, other), one.dup() as duplicate:
        other.sendall(b"x")
        await_events(one)
        equal(select.select([one, duplicate], [], [], 0)[0], [one, duplicate])
        duplicate.recv(1)
        equal(select.select([one, duplicate], [], [], 0)[0], [])


@case
def one_socket_may_be_waited_for_twice():
    with tcp() as (one, other):
        other.sendall(b"x")
        await_events(one)
        number = one.fileno()
        equal(select.select([one, number, one], [one], [], PATIENCE), ([one, number, one], [one], []))


@case
def files_and_sockets_can_be_waited_for_together():
    reading, writing = os.pipe()
    try:
        with tcp() as (one, other):
            os.write(writing, b"x")
            equal(select.select([reading, one], [], [], PATIENCE)[0], [reading])
            other.sendall(b"x")
            await_events(one)
            equal(select.select([reading, one], [], [], PATIENCE)[0], [reading, one])
            os.read(reading, 1)
            equal(select.select([reading, one], [], [], PATIENCE)[0], [one])
    finally:
        os.close(reading)
        os.close(writing)


# ── What is not there ───────────────────────────────────────────────────────────────────────────────────


@over(CASES, *KINDS)
def a_closed_descriptor_is_reported_by_poll_and_an_error_for_select(one, other):
    descriptor = other.fileno()
    poller = select.poll()
    poller.register(one, select.POLLOUT)
    poller.register(other, select.POLLIN)
    other.close()
    await_events(one, select.POLLHUP | select.POLLIN)
    found = dict(poller.poll(1000))
    equal(found[descriptor], select.POLLNVAL)
    assert found[one.fileno()] & select.POLLOUT
    with raising(OSError, errno.EBADF):
        select.select([descriptor], [], [], 0)
    with raising(ValueError):
        select.select([other], [], [], 0)


@case
def a_closed_descriptor_does_not_let_others_wait():
    with tcp() as (one, other):
        descriptor = other.fileno()
        poller = select.poll()
        poller.register(descriptor, 0)
        other.close()
        with between(0, 5):
            equal(poller.poll(), [(descriptor, select.POLLNVAL)])
        equal(read_all(one), b"")


@case
def select_checks_its_arguments():
    with raising(ValueError):
        select.select([], [], [], -1)
    wrong: list[typing.Any] = [
        (["x"], [], [], 0),
        ([], [], [], "soon"),
        (None, [], [], 0),
        ([1.5], [], [], 0),
    ]
    for arguments in wrong:
        with raising(TypeError):
            select.select(*arguments)
    with raising(ValueError):
        select.select([-1], [], [], 0)
    equal(select.select([], [], [], 0.01), ([], [], []))


@case
def poll_checks_its_arguments():
    poller = select.poll()
    with socket.socket() as sock:
        poller.register(sock)
        wrong: list[tuple[typing.Callable[..., object], tuple[typing.Any, ...], type[Exception]]] = [
            (poller.register, ("x",), TypeError),
            (poller.register, (-1,), ValueError),
            (poller.register, (sock, -1), ValueError),
            (poller.register, (sock, 1 << 20), OverflowError),
            (poller.poll, ("soon",), TypeError),
            (poller.poll, (1 << 40,), OverflowError),
        ]
        for function, arguments, kind in wrong:
            with raising(kind):
                function(*arguments)


# ── What changes meanwhile ──────────────────────────────────────────────────────────────────────────────


@case
def readiness_lasts_until_it_is_used():
    with listening() as listener, connecting(listener), connecting(listener):
        await_events(listener)
        for _ in range(2):
            equal(await_events(listener), select.POLLIN)
            accepting(listener).close()
        equal(events_now(listener, EVERY), 0)


@over(CASES, *KINDS)
def data_comes_before_the_end(one, other):
    other.sendall(b"last words")
    other.close()
    await_events(one, select.POLLRDHUP)
    equal(one.recv(4), b"last")
    assert events_now(one, EVERY) & select.POLLIN
    equal(read_all(one), b" words")
    assert events_now(one, EVERY) & select.POLLIN
