"""A body that goes out while it comes into being. Pure."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Self

__all__ = ["Outgoing"]


class Outgoing(AsyncIterator[bytes]):
    """The pieces of a source, which can be had once.

    Attributes:
        begun: whether any was asked for; until then another request can have them.
        error: what the source raised.
    """

    def __init__(self, source: AsyncIterable[bytes]) -> None:
        self._pieces = aiter(source)
        self.begun = False
        self.error: Exception | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self.begun = True
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.error = error
            raise
