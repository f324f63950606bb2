"""What the page's side answers, for tests where there is no page."""

from __future__ import annotations

import asyncio
from typing import Any

from pynet_browser.runtime import Reply


class Plain:
    """An object of JavaScript that is here."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def to_py(self) -> Any:
        return self._value


class Pending:
    """An answer that is not here yet."""

    answer: Plain | None = None

    def __init__(self) -> None:
        self.promise: asyncio.Future[Plain] = asyncio.get_event_loop().create_future()

    def settle(self, **answer: Any) -> None:
        """Let it be here."""
        self.answer = Plain(answer)
        self.promise.set_result(self.answer)


class Standing:
    """A page where a call can neither suspend the interpreter nor wait in another way."""

    suspends = False
    waiting = "none"

    def block(self, _pending: Pending) -> bool:
        return False


def reply(call: str = "call", **answer: Any) -> Reply:
    """An answer that is here."""
    return Reply(call, Standing(), Plain(answer))


class Later(Reply):
    """An answer that is not here, where nothing can wait for it."""

    def __init__(self, call: str = "call") -> None:
        self.pending = Pending()
        super().__init__(call, Standing(), self.pending)
