"""How code that cannot await waits for what is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from pynet_browser.errors import BlockingError
from pynet_browser.runtime import can_suspend, wait_for
from pynet_browser.settings import installed

__all__ = ["finished", "on_loop", "settled", "stands_still"]

T = TypeVar("T")

_NOBODY = object()

_driver: ContextVar[Any] = ContextVar("_driver", default=_NOBODY)
"""The task in which ``finished`` drives a coroutine, None outside of tasks. Other tasks run while driven code
is suspended, and tasks that it makes inherit its context: both find that they are not this task."""


def stands_still(call: str) -> bool:
    """Whether a call made now has to wait by synchronous requests.

    Raises:
        BlockingError: it would have to, and ``install(blocking="jspi")`` rules that out.
    """
    blocking = installed().blocking
    if blocking != "xhr" and can_suspend():
        return False
    if blocking == "jspi":
        raise BlockingError(call)
    return True


class settled:  # noqa: N801 - it is awaited like a function's result
    """Await a promise of the page's.

    A task that awaits takes several turns of the event loop, 0.1 to 0.2 ms each; ``finished`` waits for the
    promise itself.
    """

    def __init__(self, promise: Any) -> None:
        self._promise = promise

    def __await__(self) -> Generator[Any, Any, Any]:
        if _driver.get() is _task():
            return (yield self._promise)
        return (yield from self._promise.__await__())


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that awaits only what is ``settled``; Python is suspended where it can be.

    Raises:
        BlockingError: it has to wait where Python cannot be suspended.
    """
    suspends = installed().blocking != "xhr" and can_suspend()
    value, error = None, None
    context = copy_context()
    context.run(_driver.set, _task())
    while True:
        try:
            promise = (
                context.run(coroutine.send, value) if error is None else context.run(coroutine.throw, error)
            )
        except StopIteration as stopped:
            return stopped.value  # type: ignore[no-any-return]
        if not suspends:
            coroutine.close()
            raise BlockingError("a request")
        try:
            value, error = wait_for(promise), None
        except BaseException as caught:  # noqa: BLE001 - the coroutine is told, whatever it is
            value, error = None, caught


def _task() -> asyncio.Task[Any] | None:
    """The one that runs at this moment."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None  # no event loop


def on_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that may await anything; Python is suspended.

    Raises:
        BlockingError: it cannot be.
    """
    if installed().blocking == "xhr" or not can_suspend():
        coroutine.close()
        raise BlockingError("a request")
    return wait_for(coroutine)
