"""What carries a request, whichever it is: the browser, or the proxy. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPMessage
from typing import Protocol

from pynet_browser.http.request import Request

__all__ = ["Head", "Incoming", "Sent", "Transport", "headers_of"]

Sent = Callable[[int, int | None], object]
"""Told bytes that have gone out until now, and of how many; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Head:
    """What an answer begins with.

    Attributes:
        status: its code.
        reason: its phrase, often empty.
        url: whose answer it is.
        headers: as the server sent them, as far as they are shown.
    """

    status: int
    reason: str
    url: str
    headers: HTTPMessage = field(default_factory=HTTPMessage)


class Incoming(ABC):
    """An answer that is coming in.

    Attributes:
        head: what it began with.
    """

    head: Head

    @abstractmethod
    async def next(self) -> bytes:
        """The next bytes of its body, none at the end.

        Raises:
            OSError: it broke off.
        """

    async def rest(self) -> bytes:
        """All that is left of its body."""
        pieces = []
        while piece := await self.next():
            pieces.append(piece)
        return b"".join(pieces)

    @abstractmethod
    def close(self) -> None:
        """Take no more of it."""


class Transport(Protocol):
    """Makes requests. Where it blocks, its coroutines never wait for anything."""

    async def start(self, request: Request, sent: Sent | None) -> Incoming:
        """Make one, and wait for what its answer begins with.

        Args:
            request: it.
            sent: told how much of the body has gone out.

        Raises:
            OSError: there is no answer; its type and text say why, as far as that is known.
        """
        ...


def headers_of(pairs: list[tuple[str, str]]) -> HTTPMessage:
    """Headers as the standard library has them."""
    headers = HTTPMessage()
    for name, value in pairs:
        headers[name] = value  # which adds one more
    return headers
