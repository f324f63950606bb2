"""What holds for each process of the proxy: its event loop, what signals tell it, and how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pynet_browser.proxy.sessions import Sessions

__all__ = ["SHUTDOWN_TIMEOUT", "StartError", "Stopping", "drain", "loop_factory"]

SHUTDOWN_TIMEOUT = 0.5
"""Seconds that requests being answered get to finish when the proxy stops. aiohttp may wait twice as long."""


class StartError(Exception):
    """The proxy cannot start; the message says what to change."""


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The fastest event loop there is; None stands for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


class Stopping:
    """What this process was told by SIGINT and SIGTERM; of the running event loop.

    Args:
        told: called each time.

    Attributes:
        stop: set when it is to stop.
        hurry: set when it was told again, and is to wait for nobody.
    """

    def __init__(self, told: Callable[[], None] = lambda: None) -> None:
        self.stop, self.hurry = asyncio.Event(), asyncio.Event()
        self._told = told
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows
                asyncio.get_running_loop().add_signal_handler(number, self.tell)

    def tell(self) -> None:
        """Have it stop; said again, at once."""
        (self.hurry if self.stop.is_set() else self.stop).set()
        self._told()


async def drain(sessions: Sessions, longest: float, hurry: asyncio.Event) -> None:
    """Waits until pages are done with their sockets, at most so many seconds, or until told to hurry."""
    if not longest:
        return  # an exchange that is told of it ends, and could not be told of the session's end
    sessions.drain()
    if sessions.idle:
        return
    what = f"pages to finish (open sockets: {sessions.sockets})"
    print(f"Waiting up to {longest:g} s for {what}. Ctrl-C stops at once.", flush=True)
    waiting = [asyncio.create_task(sessions.drained()), asyncio.create_task(hurry.wait())]
    await asyncio.wait(waiting, timeout=longest, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
