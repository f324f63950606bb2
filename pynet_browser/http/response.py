"""Answers, as programs read them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from http.client import HTTPMessage
from typing import Any, Self, TypeAlias

from pynet_browser.http.route import Via
from pynet_browser.http.transport import Head, Incoming
from pynet_browser.http.waiting import finished

__all__ = ["Response", "SyncResponse"]

Bytes: TypeAlias = bytes
"""The name, since responses have a method that is called so."""

Progress = Callable[[int, int | None], object]
"""Told bytes that have come until now, and of how many; None where nobody knows."""


class _Answer:
    """What both ways of reading have in common.

    Attributes:
        status: the code.
        reason: its phrase; empty over HTTP/2.
        url: whose answer it is, after redirects.
        headers: without regard to case; ``get_all`` for those that come more than once. Browsers show a page
            of another origin only some, unless the server exposes more, and never ``Set-Cookie``.
        via: ``browser``, ``proxy``, or ``storage`` for a stored copy.
        history: what led here, where the proxy was used: browsers keep redirects to themselves.
    """

    def __init__(
        self,
        incoming: Incoming,
        via: Via,
        *,
        asked: str,
        history: Sequence[Head] = (),
        progress: Progress | None = None,
    ) -> None:
        head = incoming.head
        self.status, self.reason, self.url = head.status, head.reason, head.url or asked
        self.headers: HTTPMessage = head.headers
        self.via = via
        self.history = tuple(history)
        self._redirected = bool(history) or self.url != asked
        self._incoming = incoming
        self._progress = progress
        self._received = 0
        self._content: bytes | None = None
        self._left = b""

    @property
    def ok(self) -> bool:
        """Whether the status is one of success, 200 to 299."""
        return 200 <= self.status <= 299  # noqa: PLR2004

    @property
    def redirected(self) -> bool:
        """Whether another address has answered than was asked."""
        return self._redirected

    @property
    def length(self) -> int | None:
        """Bytes of the body, as the server announced; None where it did not, or has compressed them."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isdecimal() and "Content-Encoding" not in self.headers else None

    @property
    def charset(self) -> str:
        """How the body's text is coded: what the server says, or UTF-8."""
        return self.headers.get_content_charset() or "utf-8"

    def close(self) -> None:
        """Take no more of it; a download that is under way is broken off."""
        self._incoming.close()

    async def _next(self) -> bytes:
        if self._left:
            piece, self._left = self._left, b""
            return piece
        piece = await self._incoming.next()
        if piece and self._progress:
            self._received += len(piece)
            self._progress(self._received, self.length)
        return piece

    async def _read(self, size: int) -> bytes:
        if size < 0:
            return b"".join([piece async for piece in self._pieces()])
        pieces = []
        while size > 0 and (piece := await self._next()):
            piece, self._left = piece[:size], piece[size:]
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    async def _pieces(self) -> AsyncIterator[bytes]:
        while piece := await self._next():
            yield piece

    async def _bytes(self) -> bytes:
        if self._content is None:
            whole = self._progress is None and not self._left
            self._content = await (self._incoming.rest() if whole else self._read(-1))
        return self._content

    def _text(self, content: bytes, encoding: str | None) -> str:
        try:
            return content.decode(encoding or self.charset, "replace")
        except LookupError:
            if encoding:
                raise
            return content.decode("utf-8", "replace")  # the server names one that nobody knows

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status} {self.url} via {self.via}>"


class Response(_Answer):
    """An answer that is awaited; use it with ``async with`` where it is not read to its end."""

    async def bytes(self) -> bytes:
        """The whole body; it may be asked for again.

        Raises:
            BrokenAnswerError: it broke off; there is no part of it.
            TimeoutError: nothing came for as long as the request allowed.
        """
        return await self._bytes()

    async def text(self, encoding: str | None = None) -> str:
        """The body as text; what is no text is replaced by U+FFFD."""
        return self._text(await self._bytes(), encoding)

    async def json(self) -> Any:
        """The body's value.

        Raises:
            ValueError: it is no JSON.
        """
        return json.loads(await self._bytes())

    async def read(self, size: int = -1) -> Bytes:
        """So many bytes, fewer only at the end; all that is left if ``size`` is negative."""
        return await self._read(size)

    def __aiter__(self) -> AsyncIterator[Bytes]:
        """The body in pieces as they come."""
        return self._pieces()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class SyncResponse(_Answer):
    """The same for code that cannot await; use it with ``with`` where it is not read to its end.

    Where Python cannot be suspended the body has come as a whole before there is any response.
    """

    def bytes(self) -> bytes:
        """See ``Response.bytes``."""
        return finished(self._bytes())

    def text(self, encoding: str | None = None) -> str:
        """See ``Response.text``."""
        return self._text(self.bytes(), encoding)

    def json(self) -> Any:
        """See ``Response.json``."""
        return json.loads(self.bytes())

    def read(self, size: int = -1) -> Bytes:
        """See ``Response.read``."""
        return finished(self._read(size))

    def next(self) -> Bytes:
        """The next bytes as they come, none at the end."""
        return finished(self._next())

    def __iter__(self) -> Iterator[Bytes]:
        """The body in pieces as they come."""
        return iter(self.next, b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
