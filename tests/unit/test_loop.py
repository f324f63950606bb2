"""What the page's event loop has beside the standard library's methods."""

from __future__ import annotations

import asyncio
import gc
import select
import selectors
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pynet_browser.runtime import Network, Reply
from pynet_browser.stdlib import loop as page_loop
from pynet_browser.stdlib.endpoints import _settle
from pynet_browser.stdlib.loop import Wiring
from tests.unit.page import Later


class Opened:
    """A server or a transport."""

    closed = False

    def close(self) -> None:
        self.closed = True


def opening(result: Any, *replies: Reply) -> Any:
    """A method that opens sockets, and meets these answers on the way."""

    async def create_server(_self: Any, *arguments: Any, **named: Any) -> Any:
        """Open one."""
        await asyncio.sleep(0)
        for reply in replies:
            _settle(reply)
        return result(*arguments, **named) if callable(result) else result

    return page_loop._opening(create_server)


async def test_who_opens_a_server_waits_for_what_the_proxy_owes():
    later, opened = Later(), Opened()
    creating = asyncio.ensure_future(opening(opened, later)(None))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not creating.done()
    later.pending.settle(local=None)
    assert await creating is opened
    assert not opened.closed


@pytest.mark.parametrize("pair", [False, True], ids=["a server", "a transport and its protocol"])
async def test_what_the_proxy_refuses_closes_what_was_opened(pair):
    first, second, opened = Later(), Later(), Opened()
    creating = asyncio.ensure_future(opening((opened, "protocol") if pair else opened, first, second)(None))
    for _ in range(5):
        await asyncio.sleep(0)
    first.pending.settle()
    second.pending.settle(error="EADDRINUSE", message="port 80 is taken")
    with pytest.raises(OSError, match="port 80 is taken"):
        await creating
    assert opened.closed


async def test_arguments_and_names_are_those_of_the_method():
    method = opening(lambda *arguments, **named: (arguments, named))
    with pytest.raises(AttributeError):
        method.no_such_thing  # noqa: B018
    assert (method.__name__, method.__doc__) == ("create_server", "Open one.")
    assert await method(None, 1, host="h") == ((1,), {"host": "h"})


async def test_two_that_open_at_once_wait_for_their_own():
    one, other = Later(), Later()
    opened = Opened(), Opened()
    creating = [
        asyncio.ensure_future(opening(each, reply)(None))
        for each, reply in zip(opened, (one, other), strict=True)
    ]
    for _ in range(5):
        await asyncio.sleep(0)
    other.pending.settle()
    assert await creating[1] is opened[1]
    assert not creating[0].done()
    one.pending.settle(error="EACCES", message="not here")
    with pytest.raises(PermissionError):
        await creating[0]
    assert [each.closed for each in opened] == [True, False]


# ── One round of the loop ─────────────────────────────────────────────────────────────────────────────


class Loop:
    """An event loop whose next round is run by a test."""

    def __init__(self) -> None:
        self.scheduled: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self.processed: list[Any] = []
        self.process: Callable[[Any], None] = self.processed.append

    def call_soon(self, callback: Callable[..., None], *arguments: Any) -> None:
        self.scheduled.append((callback, arguments))

    def _process_events(self, events: Any) -> None:
        self.process(events)

    def _install_running_loop(self) -> None:
        pass

    def run(self) -> None:
        scheduled, self.scheduled = self.scheduled, []
        for callback, arguments in scheduled:
            callback(*arguments)


class Watched:
    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.rearmed = 0
        self.ready: list[tuple[int, int]] = []

    def watch(self, _fd: int, _events: int) -> str:
        return ""

    def take(self) -> list[tuple[int, int]]:
        return self.ready

    def rearm(self) -> None:
        self.rearmed += 1


class Handle:
    def __init__(self, *, cancelled: bool = False, run: Callable[[], None] | None = None) -> None:
        self.runs = 0
        self._cancelled, self._do = cancelled, run

    def cancelled(self) -> bool:
        return self._cancelled

    def _run(self) -> None:
        self.runs += 1
        if self._do:
            self._do()


@pytest.fixture
def wired() -> tuple[Loop, Wiring, Watched]:
    loop, made = Loop(), []

    def watchlist(wake: Callable[[], None]) -> Watched:
        made.append(Watched(wake))
        return made[0]

    return loop, Wiring(loop, cast(Network, SimpleNamespace(watchlist=watchlist))), made[0]


def test_what_wakes_the_loop_is_handled_in_its_turn(wired):
    loop, _, watched = wired
    watched.wake()
    assert (loop.processed, watched.rearmed) == ([], 0)
    loop.run()
    assert (loop.processed, watched.rearmed) == ([[]], 1)


def test_handles_run_once_unless_they_were_cancelled(wired):
    loop, wiring, watched = wired
    handles = [Handle(), Handle(cancelled=True)]
    wiring.ready.extend(cast(Any, handles))
    for _ in range(2):
        watched.wake()
        loop.run()
    assert [each.runs for each in handles] == [1, 0]


def test_what_a_handle_adds_is_for_the_next_round(wired):
    loop, wiring, watched = wired
    second = Handle()
    wiring.ready.append(cast(Any, Handle(run=lambda: wiring.ready.append(cast(Any, second)))))
    watched.wake()
    loop.run()
    assert second.runs == 0
    watched.wake()
    loop.run()
    assert second.runs == 1


def test_a_round_that_fails_goes_on_with_the_next(wired):
    loop, _, watched = wired

    def fail(_events: Any) -> None:
        raise ZeroDivisionError

    loop.process = fail
    watched.wake()
    with pytest.raises(ZeroDivisionError):
        loop.run()
    assert watched.rearmed == 1


def test_what_wakes_the_loop_while_a_handle_is_suspended_waits_for_its_end(wired):
    loop, wiring, watched = wired
    seen: list[tuple[int, int]] = []

    def suspended() -> None:
        """What happens meanwhile: the same descriptor is ready again, and a round was to come already."""
        wiring.ready.append(cast(Any, handle))
        watched.wake()
        loop.run()
        wiring._dispatch(loop)
        seen.append((handle.runs, watched.rearmed))

    handle = Handle(run=suspended)
    wiring.ready.append(cast(Any, handle))
    watched.wake()
    loop.run()
    assert seen == [(1, 0)]  # it was not run within itself, nor does anything count as handled
    assert watched.rearmed == 1  # so that what is ready wakes the loop again
    handle._do = None
    watched.wake()
    loop.run()
    assert (handle.runs, watched.rearmed) == (2, 2)


class Transport(page_loop.SOCKET_TRANSPORT):  # type: ignore[misc]
    """One of asyncio's transports, for a protocol; its read_ready calls back."""

    def __init__(self, protocol: Any, read: Callable[[], None]) -> None:
        self._protocol = protocol
        self._read = read

    def read_ready(self) -> None:
        self._read()

    def __del__(self) -> None:
        pass


@pytest.fixture
def ready(wired) -> Iterator[Callable[..., None]]:
    """``ready(protocol, read)`` makes data ready for a transport that has this protocol."""
    _, wiring, watched = wired
    with ExitStack() as stack:

        def make_ready(protocol: Any, read: Callable[[], None]) -> None:
            one, other = socket.socketpair()
            stack.enter_context(one)
            stack.enter_context(other)
            transport = Transport(protocol, read)
            loop = asyncio.new_event_loop()
            stack.callback(loop.close)
            handle = asyncio.Handle(transport.read_ready, (), loop)
            wiring.selector.register(one, selectors.EVENT_READ, (handle, None))
            watched.ready.append((one.fileno(), select.POLLIN))

        yield make_ready


class Streaming(asyncio.StreamReaderProtocol):
    def __del__(self) -> None:
        pass  # there is no future that somebody should have awaited


def stream_protocol() -> asyncio.StreamReaderProtocol:
    loop = cast(asyncio.AbstractEventLoop, SimpleNamespace(get_debug=bool, create_future=object))
    return Streaming(asyncio.StreamReader(loop=loop), loop=loop)


def test_data_for_streams_is_handed_over_at_once(wired, ready):
    loop, _, watched = wired
    read: list[int] = []
    for number in (1, 2):
        ready(stream_protocol(), lambda number=number: read.append(number))
    watched.wake()
    assert (read, loop.scheduled, watched.rearmed) == ([1, 2], [], 1)


def test_what_might_call_a_program_is_handled_in_its_turn(wired, ready):
    loop, _, watched = wired
    ready(stream_protocol(), lambda: pytest.fail("at once"))
    ready(asyncio.Protocol(), lambda: pytest.fail("at once"))
    watched.wake()
    assert watched.rearmed == 0
    assert len(loop.scheduled) == 1


def test_a_signal_while_data_is_handed_over_is_raised_in_the_loop(wired, ready):
    loop, _, watched = wired

    def interrupted() -> None:
        raise KeyboardInterrupt

    ready(stream_protocol(), interrupted)
    watched.wake()
    assert watched.rearmed == 1
    with pytest.raises(KeyboardInterrupt):
        loop.run()


def test_a_loop_that_is_gone_is_not_woken():
    loop, made = Loop(), []

    def watchlist(wake: Callable[[], None]) -> Watched:
        made.append(Watched(wake))
        return made[0]

    wiring = Wiring(loop, cast(Network, SimpleNamespace(watchlist=watchlist)))
    del loop
    gc.collect()
    made[0].wake()
    assert wiring.ready == []


# ── Servers at paths ──────────────────────────────────────────────────────────────────────────────────


def serving(path: Path) -> tuple[Any, socket.socket, list[int]]:
    """A loop that serves at a path, the server's socket, and the descriptors that are read no more."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    removed: list[int] = []
    loop = SimpleNamespace(_unix_server_sockets={sock: path.stat().st_ino}, _remove_reader=removed.append)
    return loop, sock, removed


def test_the_path_of_a_server_goes_with_it(tmp_path):
    path = tmp_path / "server"
    loop, sock, removed = serving(path)
    fd = sock.fileno()
    page_loop._stop_serving(loop, sock)
    assert (path.exists(), removed, sock.fileno()) == (False, [fd], -1)
    assert loop._unix_server_sockets == {}


def test_but_not_if_it_is_another_servers_by_now(tmp_path):
    path = tmp_path / "server"
    loop, sock, _ = serving(path)
    path.rename(tmp_path / "old")  # its inode stays taken
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        page_loop._stop_serving(loop, sock)
        assert path.exists()


def test_nor_is_a_file_that_stands_there_or_nothing_at_all(tmp_path):
    for content in (None, "a file"):
        path = tmp_path / f"server {content}"
        loop, sock, _ = serving(path)
        path.unlink()
        if content:
            path.write_text(content)
        page_loop._stop_serving(loop, sock)
        assert path.exists() is bool(content)


def test_a_server_without_a_path_just_ends():
    sock = socket.socket()
    removed: list[int] = []
    fd = sock.fileno()
    page_loop._stop_serving(SimpleNamespace(_unix_server_sockets={}, _remove_reader=removed.append), sock)
    assert (removed, sock.fileno()) == ([fd], -1)
