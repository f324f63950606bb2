"""Answers of the page's side, which may be here or on their way."""

from __future__ import annotations

import asyncio
import errno
import signal
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from pynet_browser import runtime
from pynet_browser.errors import (
    BlockingError,
    NotInBrowserError,
    ProxyRefusedError,
    ProxyUnreachableError,
    UnsupportedRuntimeError,
)
from pynet_browser.runtime import Network, Reply, Watchlist
from pynet_browser.settings import Options
from tests.unit.page import Later, Pending, Plain, Standing, reply


@pytest.fixture
def ffi(monkeypatch) -> Any:
    """As much of ``pyodide.ffi`` as is used; nothing can wait."""
    module: Any = ModuleType("pyodide.ffi")
    module.can_run_sync = lambda: False
    module.run_sync = None
    module.JsProxy = asyncio.Future  # what promises are here
    module.create_proxy = lambda value: SimpleNamespace(
        value=value, destroy=lambda: module.destroyed.append(value)
    )
    module.destroyed = []
    monkeypatch.setitem(sys.modules, "pyodide", ModuleType("pyodide"))
    monkeypatch.setitem(sys.modules, "pyodide.ffi", module)
    js: Any = ModuleType("pyodide_js")
    js._module = module.emscripten = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "pyodide_js", js)
    return module


# ── Replies ───────────────────────────────────────────────────────────────────────────────────────────


class Waiting(Standing):
    """A page where calls wait in either way: an answer comes with the last of so many waits."""

    def __init__(self, pending: Pending, *, suspends: bool, count: int = 1) -> None:
        self.pending, self.suspends, self.count = pending, suspends, count
        self.waited: list[Pending] = []

    def block(self, pending: Pending) -> bool:
        self.waited.append(pending)
        if len(self.waited) == self.count:
            self.pending.settle(port=5)
        return True


async def test_an_answer_that_is_here_needs_no_waiting():
    answer = reply(port=5)
    assert answer.settled
    assert answer.suspends
    assert answer.wait() == {"port": 5}
    assert await answer == {"port": 5}


async def test_one_that_is_not_here_is_awaited():
    answer = Later("bind")
    assert not answer.settled
    waiting = asyncio.ensure_future(_awaited(answer))
    await asyncio.sleep(0)
    assert not waiting.done()
    answer.pending.settle(port=5)
    assert await waiting == {"port": 5}


async def test_one_that_has_come_meanwhile_needs_no_waiting():
    answer = Later("bind")
    assert not answer.suspends
    answer.pending.settle(port=5)
    assert (answer.settled, answer.suspends) == (True, True)
    assert answer.wait() == {"port": 5}
    assert await answer == {"port": 5}


async def test_waiting_for_one_that_is_not_here_where_nothing_can_wait_says_what_for():
    answer = Later("bind")
    with pytest.raises(BlockingError, match="bind"):
        answer.wait()


async def test_where_it_can_the_stack_is_suspended(ffi, monkeypatch):
    monkeypatch.setattr(
        runtime, "page_side", lambda: SimpleNamespace(parked=lambda _module, promise: ("parked", promise))
    )
    pending = Pending()
    suspended: list[Any] = []

    def run_sync(awaited: Any) -> None:
        suspended.append(awaited)
        pending.settle(port=5)

    ffi.run_sync = run_sync
    page = Waiting(pending, suspends=True)
    answer = Reply("bind", page, pending)
    assert answer.suspends
    assert answer.wait() == {"port": 5}
    assert (suspended, page.waited) == ([("parked", pending.promise)], [])


@pytest.fixture
def module(ffi, monkeypatch) -> Iterator[SimpleNamespace]:
    """What is used of Emscripten's module; each wait ends with one of ``signals`` while there are any."""
    module = ffi.emscripten
    module.signals, module.takers = [], []

    def take_signals(_module: Any, taking: Any) -> Any:
        module.takers.append(taking.value)
        return module.takers.pop

    def run_sync(future: Any) -> Any:
        if module.signals:
            module.takers[-1](module.signals.pop(0))
        loop = asyncio.get_event_loop()
        return loop.run_until_complete(future)

    def suspension(_module: Any) -> Any:
        promise: asyncio.Future[None] = asyncio.get_event_loop().create_future()

        def resolve() -> None:
            if not promise.done():
                promise.set_result(None)

        return SimpleNamespace(promise=promise, resolve=resolve)

    page = SimpleNamespace(takeSignals=take_signals, suspension=suspension)
    monkeypatch.setattr(runtime, "page_side", lambda: page)
    ffi.JsProxy = type(None)
    ffi.run_sync = run_sync
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield module
    loop.close()
    asyncio.set_event_loop(None)
    assert module.takers == []


async def value() -> str:
    await asyncio.sleep(0.01)
    return "value"


def test_where_nobody_can_send_signals_only_the_result_is_waited_for(module):
    assert runtime.wait_for(value()) == "value"


def test_a_result_comes_where_signals_may_come(module):
    module.Py_EmscriptenSignalBuffer = [0]
    assert runtime.wait_for(value()) == "value"


def test_a_failure_comes_as_it_is(module):
    async def failing() -> None:
        raise LookupError("it failed")

    module.Py_EmscriptenSignalBuffer = [0]
    with pytest.raises(LookupError, match="it failed"):
        runtime.wait_for(failing())


def test_a_signal_is_handled_in_the_code_that_waits_and_ends_what_it_waited_for(module):
    module.Py_EmscriptenSignalBuffer = [0]
    module.signals = [int(signal.SIGINT)]
    future: asyncio.Future[None] = asyncio.get_event_loop().create_future()
    with pytest.raises(KeyboardInterrupt):
        runtime.wait_for(future)
    assert future.cancelled()


def test_the_wait_goes_on_when_the_handler_has_not_raised(module):
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: heard.append(number))
    try:
        module.Py_EmscriptenSignalBuffer = [0]
        module.signals = [int(signal.SIGINT)]
        assert runtime.wait_for(value()) == "value"
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


@pytest.mark.parametrize("count", [1, 3], ids=["at once", "after waits that signals have ended"])
async def test_where_it_cannot_the_page_waits_with_it(count):
    pending = Pending()
    page = Waiting(pending, suspends=False, count=count)
    answer = Reply("bind", page, pending)
    assert not answer.suspends  # other tasks would not run
    assert answer.wait() == {"port": 5}
    assert page.waited == [pending] * count


def test_a_signal_ends_the_waiting():
    class Interrupted(Standing):
        def block(self, _pending: Any) -> bool:
            signal.raise_signal(signal.SIGINT)
            return True

    with pytest.raises(KeyboardInterrupt):
        Reply("bind", Interrupted(), SimpleNamespace(promise=None, answer=None)).wait()


@pytest.mark.parametrize(("way", "waits"), [("jspi", True), ("xhr", True), ("none", False)])
def test_the_network_tells_whether_and_how_a_call_would_wait(way, waits):
    network = Network(SimpleNamespace(waiting=way, suspends=way == "jspi"))
    assert (network.waits, network.suspends) == (waits, way == "jspi")


async def _awaited(answer: Reply) -> dict[str, Any]:
    return await answer


# ── What is asked of the page ─────────────────────────────────────────────────────────────────────────


class Page:
    """Records what it was asked, and gives what it is told to."""

    def __init__(self, result: Any = None) -> None:
        self.result = result
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def ask(*arguments: Any) -> Any:
            self.asked.append((name, *arguments))
            return self.result

        return ask


PLAIN = [
    ("describe", (5,), [2, 1, 6], (2, 1, 6)),
    ("describe", (5,), None, None),
    ("pair", (1,), [3, 4], (3, 4)),
    ("pair", (1,), "EMFILE", "EMFILE"),
    ("accept", (5,), 7, 7),
    ("accept", (5,), "EAGAIN", "EAGAIN"),
    ("listening", (5,), True, True),
    ("explain", (5,), ["EACCES", "no"], ("EACCES", "no")),
    ("explain", (5,), None, None),
    ("peek", (5, 10), None, None),
    ("sender", (5,), ["10.0.0.1", 53, 9], ("10.0.0.1", 53, 9)),
    ("sender", (5,), None, None),
    ("settled", (5,), None, None),
    ("option", (5, "IP_TTL"), Plain(["3"]), ["3"]),
    ("option", (5, "IP_TTL"), None, None),
    ("addresses", (5,), None, None),
    ("addresses", (5,), Plain([["0.0.0.0", 0], None]), (("0.0.0.0", 0), None)),
    ("addresses", (5,), Plain([["a", 1], ["b", 2]]), (("a", 1), ("b", 2))),
    ("status", (), Plain({"url": ""}), {"url": ""}),
]


@pytest.mark.parametrize(("name", "arguments", "result", "expected"), PLAIN, ids=repr)
def test_what_the_page_says_is_told_in_pythons_types(name, arguments, result, expected):
    page = Page(result)
    assert getattr(Network(page), name)(*arguments) == expected
    assert page.asked == [(name, *arguments)]


REQUESTS: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[Any, ...]]] = [
    ("resolve", ("host.example", "http", 4), {}, ("host.example", "http", 4)),
    ("reverse", (4, "10.0.0.1", 53), {"datagram": True}, (4, "10.0.0.1", 53, True)),
    ("bind", (5, "", 80), {}, (5, "", 80)),
    ("listen", (5, 128), {}, (5, 128)),
    ("connect", (5, "host.example", 80), {}, (5, "host.example", 80)),
]


@pytest.mark.parametrize(("name", "arguments", "named", "passed"), REQUESTS, ids=repr)
def test_what_is_asked_is_answered_by_a_reply(name, arguments, named, passed):
    page = Page(Plain({"port": 5}))
    answer = getattr(Network(page), name)(*arguments, **named)
    assert isinstance(answer, Reply)
    assert answer.wait() == {"port": 5}
    assert page.asked == [(name, *passed)]


async def test_addresses_that_are_being_asked_for_can_be_waited_for():
    settling = Network(Page(Pending())).settled(5)
    assert settling is not None
    assert not settling.settled


def test_data_goes_out_in_a_proxy_that_is_destroyed_in_any_case(ffi):
    class Broken(Page):
        def sendTo(self, *_: Any) -> int:  # noqa: N802  JavaScript's name
            raise RuntimeError("a mistake")

    data = memoryview(b"abc")
    assert Network(Page(3)).send_to(5, data, "10.0.0.1", 53) == 3
    assert Network(Page("EAGAIN")).send_to(5, data, "10.0.0.1", 53) == "EAGAIN"
    with pytest.raises(RuntimeError):
        Network(Broken()).send_to(5, data, "10.0.0.1", 53)
    assert ffi.destroyed == [data] * 3


def test_a_watchlist_lives_until_it_is_closed(ffi):
    watched = Page()

    def wake() -> None:
        """Called by the page."""

    page = Page(watched)
    watchlist = Watchlist(page, wake)
    [(name, proxy)] = page.asked
    assert (name, proxy.value) == ("watchlist", wake)
    watched.result = "EPERM"
    assert watchlist.watch(5, 1) == "EPERM"
    watched.result = Plain([[5, 1], [6, 4]])
    assert watchlist.take() == [(5, 1), (6, 4)]
    watchlist.forget(5)
    watchlist.rearm()
    assert not ffi.destroyed
    watchlist.close()
    assert ffi.destroyed == [wake]
    assert [name for name, *_ in watched.asked] == ["watch", "take", "forget", "rearm", "clear"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [("unreachable", ProxyUnreachableError), ("token", ProxyRefusedError), ("protocol", ProxyRefusedError)],
)
def test_what_the_proxy_refuses_has_its_sentence(code, kind):
    error = runtime._refusal(cast(Any, SimpleNamespace(code=code, message="because of the moon")))
    assert type(error) is kind
    assert "because of the moon" in str(error)


# ── Opening ───────────────────────────────────────────────────────────────────────────────────────────


class Exports:
    """What js/index.js exports, as far as it is used; ``refusal`` is what opening throws."""

    def __init__(self) -> None:
        self.called: list[tuple[Any, ...]] = []
        self.refusal: Exception | None = None
        self.missing: list[str] = []

    def missingParts(self, _module: Any) -> Plain:  # noqa: N802  JavaScript's name
        return Plain(self.missing)

    def parked(self, _module: Any, promise: Any) -> Any:
        return promise

    async def open(self, *arguments: Any) -> str:
        return self.openNow(*arguments, name="open")

    def openNow(self, module: Any, options: Any, *, name: str = "openNow") -> str:  # noqa: N802
        self.called.append((name, module, options))
        if self.refusal:
            raise self.refusal
        return "network"


@pytest.fixture
def exports(ffi, monkeypatch) -> Exports:
    """As if this were a page."""
    page_side = Exports()
    js: Any = ModuleType("pyodide_js")
    js._module, js.version = "module", "313.9"
    monkeypatch.setitem(sys.modules, "pyodide_js", js)
    monkeypatch.setattr(runtime, "IN_PAGE", True)
    monkeypatch.setattr(runtime, "page_side", lambda: page_side)
    ffi.JsException = type("JsException", (Exception,), {"code": "token", "message": "because of the moon"})
    ffi.to_js = dict
    ffi.run_sync = asyncio.run
    return page_side


def hint() -> None:
    """What the page calls when a call has waited."""


def no_channel(_reason: str) -> None:
    """What it calls when datagrams find no data channel."""


def open_now(url: str = "ws://proxy", blocking: str = "auto") -> Network:
    return runtime.open_network_sync(Options(url, "token", "agent", blocking), hint, no_channel)


async def test_the_page_is_told_where_the_proxy_is_and_how_calls_wait(exports):
    network = await runtime.open_network(
        Options("ws://proxy", "secret", "agent/1", "xhr", "off"), hint, no_channel
    )
    assert network._js == "network"
    [(name, module, options)] = exports.called
    assert (name, module) == ("open", "module")
    assert options["onBlocked"].value is hint
    assert options["onNoChannel"].value is no_channel
    assert options["errno"]["EDEADLK"] == errno.EDEADLK
    told = {name: options[name] for name in ("url", "token", "agent", "blocking", "bulk")}
    assert told == {
        "url": "ws://proxy",
        "token": "secret",
        "agent": "agent/1",
        "blocking": "xhr",
        "bulk": "off",
    }


@pytest.mark.parametrize(
    ("blocking", "suspends", "called"),
    [
        ("auto", True, "open"),
        ("auto", False, "openNow"),
        ("xhr", True, "openNow"),
        ("xhr", False, "openNow"),
        ("jspi", True, "open"),
    ],
)
def test_who_cannot_await_has_it_opened_as_calls_wait(exports, ffi, blocking, suspends, called):
    ffi.can_run_sync = lambda: suspends
    assert open_now(blocking=blocking)._js == "network"
    assert [name for name, *_ in exports.called] == [called]


def test_who_allows_only_suspending_cannot_open_where_that_is_impossible(exports):
    with pytest.raises(BlockingError, match="install_sync would have to wait"):
        open_now(blocking="jspi")
    assert not exports.called
    assert open_now("", blocking="jspi")._js == "network"  # without a proxy nothing is to be waited for


async def test_a_refusal_is_an_exception_of_ours_either_way(exports, ffi):
    exports.refusal = ffi.JsException()
    with pytest.raises(ProxyRefusedError, match="because of the moon"):
        open_now()
    with pytest.raises(ProxyRefusedError, match="because of the moon"):
        await runtime.open_network(Options("ws://proxy", "token", "agent"), hint, no_channel)


def test_a_pyodide_that_is_too_old_is_told_what_it_lacks(exports):
    exports.missing = ["SOCKFS", "DNS"]
    with pytest.raises(UnsupportedRuntimeError, match=r"this is 313\.9, and it lacks SOCKFS, DNS"):
        open_now()
    assert not exports.called


async def test_elsewhere_than_in_a_page_nothing_is_opened():
    with pytest.raises(NotInBrowserError):
        open_now(blocking="jspi")
    with pytest.raises(NotInBrowserError):
        await runtime.open_network(Options("ws://proxy", "token", "agent"), hint, no_channel)
