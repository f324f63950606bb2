"""``XMLHttpRequest`` for code that was written for it (https://xhr.spec.whatwg.org)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pynet_browser.http.fetching import fetch, fetch_sync
from pynet_browser.http.request import Body
from pynet_browser.http.response import Response, SyncResponse

__all__ = ["XMLHttpRequest", "xhr"]

Handler = Callable[["XMLHttpRequest"], object]

EVENTS = ("readystatechange", "loadstart", "progress", "load", "error", "timeout", "abort", "loadend")


class XMLHttpRequest:
    """The standard's interface, with Python's types: ``response`` is bytes.

    Attributes:
        readyState: 0 to 4.
        status: 0 until there is an answer.
        statusText: its phrase.
        responseURL: whose answer it is.
        response: the body; None until it is whole.
        timeout: milliseconds in which something has to happen; 0 for no limit.
        withCredentials: whether cookies go to other origins.
        loaded: bytes that have come.
        total: bytes that are to come; 0 if nobody knows.
        via: see ``fetch``.
        onreadystatechange, onloadstart, onprogress, onload, onerror, ontimeout, onabort, onloadend: called
            with the request.
        onuploadprogress: called with the bytes of the body that have gone out, and how many there are.
    """

    UNSENT, OPENED, HEADERS_RECEIVED, LOADING, DONE = range(5)

    def __init__(self) -> None:
        for name in EVENTS:
            setattr(self, f"on{name}", None)
        self.onuploadprogress: Callable[[int, int], object] | None = None
        self.readyState = self.UNSENT
        self.timeout = 0.0
        self.withCredentials = False
        self.via: Any = None
        self._mime_type: str | None = None
        self._task: asyncio.Future[None] | None = None
        self._forget()

    def _forget(self) -> None:
        self.status, self.statusText, self.responseURL = 0, "", ""
        self.response: bytes | None = None
        self.error: Exception | None = None
        self.loaded = self.total = 0
        self._answer: Response | SyncResponse | None = None

    def open(self, method: str, url: str, async_: bool = True) -> None:
        """Say what is to be asked for."""
        self.abort()
        self._forget()
        self._method, self._url, self._async = method, url, async_
        self._headers: list[tuple[str, str]] = []
        self._turn(self.OPENED)

    def setRequestHeader(self, name: str, value: str) -> None:  # noqa: N802 - the standard's names
        """Add a header.

        Raises:
            RuntimeError: nothing was opened.
        """
        if self.readyState != self.OPENED:
            raise RuntimeError("open() comes first")
        self._headers.append((name, value))

    def overrideMimeType(self, mime_type: str) -> None:  # noqa: N802
        """Take the answer for something else than the server says."""
        self._mime_type = mime_type

    def send(self, body: Body | None = None) -> None:
        """Make the request: at once, where ``open`` was told so, else while other tasks go on.

        Raises:
            RuntimeError: nothing was opened.
            OSError: a synchronous request got no answer.
        """
        if self.readyState != self.OPENED:
            raise RuntimeError("open() comes first")
        options: dict[str, Any] = {
            "method": self._method,
            "headers": self._headers,
            "body": body,
            "timeout": self.timeout / 1000 or None,
            "credentials": "include" if self.withCredentials else "same-origin",
            "mime_type": self._mime_type,
            "on_download": self._progressed,
            "via": self.via,
        }
        if not self._async:
            self._take(fetch_sync(self._url, **options))
            self._finish(self._answer.bytes())  # type: ignore[union-attr, arg-type]
            return
        options["on_upload"] = self.onuploadprogress
        self._emit("loadstart")
        self._task = asyncio.ensure_future(self._fetch(options))

    async def _fetch(self, options: dict[str, Any]) -> None:
        try:
            answer = await fetch(self._url, **options)
            self._take(answer)
            body = await answer.bytes()
        except asyncio.CancelledError:
            return  # abort() has said so
        except Exception as error:  # noqa: BLE001 - whatever it is, the program's handlers are told
            self.error = error
            self._turn(self.DONE)
            self._emit("timeout" if isinstance(error, TimeoutError) else "error")
            self._emit("loadend")
            return
        self._finish(body)

    def _take(self, answer: Response | SyncResponse) -> None:
        self._answer = answer
        self.status, self.statusText, self.responseURL = answer.status, answer.reason, answer.url
        self.total = answer.length or 0
        self._turn(self.HEADERS_RECEIVED)

    def _progressed(self, loaded: int, total: int | None) -> None:
        self.loaded, self.total = loaded, total or 0
        if self.readyState != self.LOADING:
            self._turn(self.LOADING)
        self._emit("progress")

    def _finish(self, body: bytes) -> None:
        self.response = body
        self._turn(self.DONE)
        self._emit("load")
        self._emit("loadend")

    @property
    def responseText(self) -> str:  # noqa: N802
        """The body as text; empty until it is whole."""
        if self.response is None or self._answer is None:
            return ""
        return self.response.decode(self._answer.charset, "replace")

    def getResponseHeader(self, name: str) -> str | None:  # noqa: N802
        """The values of a header, joined; None if there are none."""
        values = self._answer.headers.get_all(name) if self._answer else None
        return ", ".join(values) if values else None

    def getAllResponseHeaders(self) -> str:  # noqa: N802
        """All headers, each on a line."""
        if self._answer is None:
            return ""
        return "".join(f"{name.lower()}: {value}\r\n" for name, value in sorted(self._answer.headers.items()))

    def abort(self) -> None:
        """Break it off."""
        task, self._task = self._task, None
        if task is None or task.done():
            return
        task.cancel()
        self._forget()
        self._turn(self.DONE)
        self._emit("abort")
        self._emit("loadend")
        self.readyState = self.UNSENT

    def _turn(self, state: int) -> None:
        self.readyState = state
        self._emit("readystatechange")

    def _emit(self, event: str) -> None:
        if handler := getattr(self, f"on{event}"):
            handler(self)


def xhr(
    method: str, url: str, body: Body | None = None, *, async_: bool = True, **given: Any
) -> XMLHttpRequest:
    """Make a request at once.

    Args:
        method: see ``XMLHttpRequest.open``.
        url: see there.
        body: see ``XMLHttpRequest.send``.
        async_: whether other tasks go on meanwhile.
        **given: ``headers``, a mapping; and attributes of ``XMLHttpRequest``, its handlers among them.

    Raises:
        TypeError: there is no such attribute.
    """
    request = XMLHttpRequest()
    headers = given.pop("headers", None) or {}
    for name, value in given.items():
        if name.startswith("_") or not hasattr(request, name):
            raise TypeError(f"xhr() has no argument {name!r}")
        setattr(request, name, value)
    request.open(method, url, async_)
    for name, value in headers.items():
        request.setRequestHeader(name, value)
    request.send(body)
    return request
