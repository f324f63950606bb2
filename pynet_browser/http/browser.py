"""Requests that the browser makes by itself; no proxy is needed."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from pynet_browser.errors import BrokenAnswerError, RequestError
from pynet_browser.http.request import Request
from pynet_browser.http.route import ready_for_browser
from pynet_browser.http.transport import Head, Incoming, Sent, headers_of
from pynet_browser.http.waiting import settled
from pynet_browser.runtime import callback, page_side, to_page

__all__ = ["BrowserTransport", "StandstillTransport"]

XHR_OPTIONS = {"redirect": "follow", "mode": "cors", "cache": "default", "integrity": "", "keepalive": False}
"""What holds of every XMLHttpRequest: nothing else can be asked of it."""


class BrowserTransport:
    """By ``fetch``, or where progress of the body is asked for by XMLHttpRequest; other tasks go on."""

    async def start(self, request: Request, sent: Sent | None) -> Incoming:
        """See ``Transport``."""
        request = ready_for_browser(request)
        asked = _asked(request)
        telling = None
        if sent and request.body:
            _refuse_options(request, "on_upload")
            telling = callback(sent)
            fetching = page_side().startUpload(request.url, to_page(asked), _milliseconds(request), telling)
        else:
            init = {**request.options, **asked}
            if request.source is not None:
                pull = callback(_pulling(request.source, sent))
                init |= {"body": page_side().streamOf(pull), "duplex": "half"}
            fetching = page_side().startRequest(request.url, to_page(init), _milliseconds(request))
        try:
            head = (await settled(fetching.head())).to_py()
        except BaseException:
            fetching.abort()
            raise
        finally:
            if telling:
                telling.destroy()
        _raise_failure(head, RequestError)
        return _Fetched(fetching, head)


def _pulling(source: AsyncIterable[bytes], sent: Sent | None) -> Callable[[], Awaitable[Any]]:
    """What gives the page the next piece of a body, and nothing at the end."""
    pieces, total = aiter(source), 0

    async def pull() -> Any:
        nonlocal total
        async for piece in pieces:
            total += len(piece)
            if sent:
                sent(total, None)
            if piece:
                return to_page(piece)
        return None

    return pull


class _Fetched(Incoming):
    def __init__(self, fetching: Any, head: Mapping[str, Any]) -> None:
        self.head = _head(head)
        self._fetching = fetching

    async def next(self) -> bytes:
        piece = self._fetching.take()
        return self._bytes(await self._settled(self._fetching.next()) if piece is None else piece)

    async def rest(self) -> bytes:
        rest = self._fetching.takeRest()
        return self._bytes(await self._settled(self._fetching.rest()) if rest is None else rest)

    async def _settled(self, promise: Any) -> Any:
        try:
            return await settled(promise)
        except BaseException:
            self.close()  # what the promise brings now is lost: nobody may read on behind it
            raise

    def _bytes(self, piece: Any) -> bytes:
        if hasattr(piece, "error"):
            found = piece.to_py()
            _raise_failure(found, partial(BrokenAnswerError, silent=found.get("silent", 0) / 1000))
        return bytes(piece.to_bytes())

    def close(self) -> None:
        self._fetching.abort()


class StandstillTransport:
    """By synchronous requests: where Python cannot be suspended. Nothing else happens meanwhile."""

    async def start(self, request: Request, sent: Sent | None) -> Incoming:
        """See ``Transport``."""
        _refuse_options(request, "a call where Python cannot be suspended")
        request = ready_for_browser(request)
        answer = page_side().requestNow(request.url, to_page(_asked(request)), _milliseconds(request))
        if hasattr(answer, "error"):
            _raise_failure(answer.to_py(), RequestError)
        if sent and request.body:
            sent(len(request.body), len(request.body))
        body = bytes(answer.body.to_bytes())
        return Arrived(_head(answer.head.to_py()), body)


class Arrived(Incoming):
    """An answer that is here already."""

    def __init__(self, head: Head, body: bytes) -> None:
        self.head = head
        self._body = body

    async def next(self) -> bytes:
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        self._body = b""


def _asked(request: Request) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "method": request.method,
        "headers": [list(pair) for pair in request.headers],
        "credentials": request.options.get("credentials", "same-origin"),
    }
    if request.body is not None:
        asked["body"] = request.body
    return asked


def _refuse_options(request: Request, where: str) -> None:
    for name, only in XHR_OPTIONS.items():
        if request.options.get(name, only) != only:
            raise ValueError(
                f"{name}={request.options[name]!r} does not go with {where}: there a request is made by "
                "XMLHttpRequest, which knows nothing of it"
            )


def _milliseconds(request: Request) -> float:
    return float("inf") if request.timeout is None else request.timeout * 1000


def _head(found: Mapping[str, Any]) -> Head:
    pairs = [(name, value) for name, value in found["headers"]]
    return Head(found["status"], found["reason"], found["url"], headers_of(pairs))


def _raise_failure(found: Mapping[str, Any], kind: Callable[[str], OSError]) -> None:
    """The exception for what js/http/request.js calls a failure."""
    match found.get("error"):
        case None:
            return
        case "timeout":
            raise TimeoutError("timed out")
        case "invalid":
            raise ValueError(found["message"])
        case _:
            raise kind(found["message"])
