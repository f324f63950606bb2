"""A proxy in the test's own event loop, so that tests can see what it holds."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from pynet_browser.proxy.app import RELAYS, SESSIONS, SIGNALLING, create_app
from pynet_browser.proxy.config import Config, Limits
from pynet_browser.proxy.policy import Rule
from pynet_browser.proxy.relay import Relays
from pynet_browser.proxy.rooms import Rooms
from pynet_browser.proxy.sessions import Sessions
from tests.proxy.client import Page

__all__ = [
    "EVERY_LOOP",
    "TOKEN",
    "RunningProxy",
    "Stopwatch",
    "listening",
    "running_proxy",
    "standstill",
    "until",
]

TOKEN = "the token of these tests"

EVERY_LOOP = ["asyncio", "uvloop"]
"""For the mark of tests about what a loop's transports do."""


class RunningProxy:
    """A proxy on a loopback port.

    Attributes:
        address: its host and port.
        base: what its WebSockets' addresses begin with.
        url: what a page connects to.
        sessions: its sessions, to look at.
        relays: the requests it makes for pages.
        rooms: those in which pages meet.
    """

    def __init__(self, runner: web.AppRunner, app: web.Application) -> None:
        self._runner, self._app = runner, app
        self.sessions: Sessions = app[SESSIONS]
        self.relays: Relays = app[RELAYS]
        self.rooms: Rooms | None = app[SIGNALLING].rooms if SIGNALLING in app else None
        self.address: tuple[str, int] = runner.addresses[0]
        self.base = f"ws://127.0.0.1:{self.address[1]}"
        self.url = f"{self.base}/pynet"

    def page(self, **options: Any) -> Page:
        """A page that knows the token; use it with ``async with``."""
        return Page(self.url, TOKEN, **options)

    async def end_all(self) -> None:
        """End what it serves, as when it stops; it goes on to listen."""
        await self._app.shutdown()

    async def stop(self) -> None:
        """Stop, as at a signal."""
        await self._runner.cleanup()


@contextlib.asynccontextmanager
async def running_proxy(
    limits: Limits | None = None, *, shutdown_timeout: float = 1, **options: Any
) -> AsyncIterator[RunningProxy]:
    """A proxy that serves until the block ends, and then has nothing left.

    Args:
        limits: other ones than the usual.
        shutdown_timeout: seconds after which aiohttp cuts what does not end by itself when it stops.
        options: of ``Config``.
    """
    before = asyncio.all_tasks()
    values: dict[str, Any] = {"token": TOKEN, "demo": False, "limits": limits or Limits()} | options
    config = Config(**values)
    app = create_app(config)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_timeout, lingering_time=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    proxy = RunningProxy(runner, app)
    try:
        yield proxy
    finally:
        await proxy.stop()
    allowed = before | {asyncio.current_task()}
    await until(lambda: asyncio.all_tasks() <= allowed)
    assert (len(proxy.sessions), proxy.sessions.sockets, proxy.sessions.buffered) == (0, 0, 0)
    assert not proxy.rooms


def listening(*rules: str) -> tuple[Rule, ...]:
    """Rules for where pages may listen."""
    return tuple(rule for text in rules for rule in Rule.parse_listening(text))


async def until(condition: Callable[[], object], timeout: float = 10.0) -> None:
    """Wait for a condition that nothing announces."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be in time"
        await asyncio.sleep(0.005)


async def standstill(figure: Callable[[], int]) -> None:
    """Wait until a figure is zero and stays so: what could still have changed it has come to rest."""
    quiet = 0
    while quiet < 20:
        await asyncio.sleep(0.02)
        quiet = 0 if figure() else quiet + 1


class Stopwatch:
    """Measures from when it is made.

    Only the time in which this process moved can be too long: a stall of the machine adds nothing to it.
    """

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._moved = 0.0
        self._moving = asyncio.create_task(self._move())

    def stop(self, least: float, most: float) -> None:
        """See that so many seconds have passed at least, and so many at most."""
        self._moving.cancel()
        passed = time.monotonic() - self._start
        assert least < passed, f"{passed:.3f} s have passed"
        assert self._moved < most, f"it took {passed:.3f} s, in {self._moved:.3f} of which this process moved"

    async def _move(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            self._moved += min(time.monotonic() - before, 0.05)
