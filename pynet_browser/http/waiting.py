"""How code that cannot await waits for what is awaited."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

from pynet_browser.errors import BlockingError
from pynet_browser.runtime import can_suspend, wait_for
from pynet_browser.settings import installed

__all__ = ["finished", "on_loop", "settled", "stands_still"]

T = TypeVar("T")

_by_hand = False
"""Whether a coroutine is being driven by ``finished`` at this moment."""


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
        if _by_hand:
            return (yield self._promise)
        return (yield from self._promise.__await__())


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that awaits only what is ``settled``; Python is suspended where it can be.

    Raises:
        BlockingError: it has to wait where Python cannot be suspended.
    """
    suspends = installed().blocking != "xhr" and can_suspend()
    value, error = None, None
    while True:
        try:
            promise = _driven(coroutine, value, error)
        except StopIteration as stopped:
            return stopped.value  # type: ignore[no-any-return]
        if not suspends:
            coroutine.close()
            raise BlockingError("a request")
        try:
            value, error = wait_for(promise), None
        except BaseException as caught:  # noqa: BLE001 - the coroutine is told, whatever it is
            value, error = None, caught


def _driven(coroutine: Coroutine[Any, Any, Any], value: Any, error: BaseException | None) -> Any:
    global _by_hand
    outer, _by_hand = _by_hand, True
    try:
        return coroutine.send(value) if error is None else coroutine.throw(error)
    finally:
        _by_hand = outer


def on_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that may await anything; Python is suspended.

    Raises:
        BlockingError: it cannot be.
    """
    if installed().blocking == "xhr" or not can_suspend():
        coroutine.close()
        raise BlockingError("a request")
    return wait_for(coroutine)
