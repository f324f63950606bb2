"""What the page's side answers, for tests where there is no page."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from pynet_browser.runtime import Reply


class Plain:
    """An object of JavaScript that is here."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def to_py(self) -> Any:
        return self._value


class Promise:
    """An object of JavaScript that is not here yet."""

    def __init__(self) -> None:
        self._future: asyncio.Future[Plain] = asyncio.get_event_loop().create_future()

    def then(self) -> None:
        """What makes it one."""

    def settle(self, **answer: Any) -> None:
        """Let it be here."""
        self._future.set_result(Plain(answer))

    def __await__(self) -> Generator[Any, Any, Plain]:
        return self._future.__await__()


def reply(call: str = "call", **answer: Any) -> Reply:
    """An answer that is here."""
    return Reply(call, Plain(answer))
