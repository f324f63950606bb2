"""Answers of the page's side, which may be here or on their way."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from pynet_browser import runtime
from pynet_browser.errors import BlockingError, ProxyRefusedError, ProxyUnreachableError
from pynet_browser.runtime import Network, Reply, Watchlist
from tests.unit.page import Plain, Promise, reply


@pytest.fixture
def ffi(monkeypatch) -> Any:
    """As much of ``pyodide.ffi`` as is used; nothing can wait."""
    module: Any = ModuleType("pyodide.ffi")
    module.can_run_sync = lambda: False
    module.run_sync = None
    module.create_proxy = lambda value: SimpleNamespace(
        value=value, destroy=lambda: module.destroyed.append(value)
    )
    module.destroyed = []
    monkeypatch.setitem(sys.modules, "pyodide", ModuleType("pyodide"))
    monkeypatch.setitem(sys.modules, "pyodide.ffi", module)
    return module


async def test_an_answer_that_is_here_needs_no_waiting(ffi):
    answer = reply(port=5)
    assert answer.settled
    assert answer.can_wait
    assert answer.wait() == {"port": 5}
    assert await answer == {"port": 5}


async def test_one_that_is_not_here_is_awaited():
    promise = Promise()
    answer = Reply("bind", promise)
    assert not answer.settled
    waiting = asyncio.ensure_future(_awaited(answer))
    await asyncio.sleep(0)
    assert not waiting.done()
    promise.settle(port=5)
    assert await waiting == {"port": 5}


async def test_waiting_for_one_that_is_not_here_where_nothing_can_wait_says_what_for(ffi):
    answer = Reply("bind", Promise())
    assert not answer.can_wait
    with pytest.raises(BlockingError, match="bind"):
        answer.wait()


async def test_where_it_can_the_stack_is_suspended(ffi):
    promise = Promise()
    ffi.can_run_sync = lambda: True
    ffi.run_sync = lambda awaited: Plain({"port": 5}) if awaited is promise else None
    answer = Reply("bind", promise)
    assert answer.can_wait
    assert answer.wait() == {"port": 5}


async def _awaited(answer: Reply) -> dict[str, Any]:
    return await answer


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
    promise = Promise()
    settling = Network(Page(promise)).settled(5)
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
