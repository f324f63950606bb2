"""How code that cannot await waits for what is awaited."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from pynet_browser.errors import BlockingError
from pynet_browser.runtime import can_suspend, wait_for
from pynet_browser.settings import installed

__all__ = ["finished", "stands_still"]

T = TypeVar("T")


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


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, for which Python is suspended where it can be.

    Raises:
        BlockingError: it has to wait where Python cannot be suspended.
    """
    if installed().blocking != "xhr" and can_suspend():
        return wait_for(coroutine)
    try:
        coroutine.send(None)
    except StopIteration as stopped:
        return stopped.value  # type: ignore[no-any-return]
    coroutine.close()
    raise BlockingError("a request")
