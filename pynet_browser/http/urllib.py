"""``urllib.request`` over the browser or the proxy: its handlers' ``http_open`` and ``https_open``."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from http.client import HTTPMessage, IncompleteRead
from typing import Any
from urllib import request as urllib_request
from urllib.error import URLError

from pynet_browser.errors import BrokenAnswerError
from pynet_browser.http.client import Client, Outcome
from pynet_browser.http.request import Request
from pynet_browser.http.waiting import finished, stands_still
from pynet_browser.settings import installed

__all__ = ["PageHandler", "UrlResponse", "opened", "urlopen"]

UNSET: Any = vars(socket)["_GLOBAL_DEFAULT_TIMEOUT"]
"""What stands for the timeout that sockets have by default."""


CODINGS = frozenset({"br", "deflate", "gzip", "x-gzip", "zstd"})
"""What browsers and the proxy decompress."""


class UrlResponse(io.BufferedReader):
    """What ``urlopen`` gives: the interface of ``http.client.HTTPResponse``.

    What was compressed has been decompressed, and nothing in the headers says that it was: programs that look
    there would do it again, since the standard library never does.

    Attributes:
        status, code: the same.
        reason, msg: the same: the phrase.
        headers: see ``http.client.HTTPMessage``.
        url: whose answer it is.
        version: 11, whatever was spoken: browsers do not tell.
        length: bytes that were announced, or None.
    """

    version = 11
    will_close = True

    def __init__(self, outcome: Outcome, url: str) -> None:
        head = outcome.incoming.head
        self.status = self.code = head.status
        self.reason = self.msg = head.reason
        self.headers = _as_read(head.headers)
        self.url = head.url or url
        self.via = outcome.via
        announced = self.headers.get("Content-Length", "")
        self.length = int(announced) if announced.isdecimal() else None
        super().__init__(_Body(outcome), 64 * 1024)

    def info(self) -> HTTPMessage:
        """The headers."""
        return self.headers

    def geturl(self) -> str:
        """Whose answer it is."""
        return self.url

    def getcode(self) -> int:
        """The status."""
        return self.status

    def getheader(self, name: str, default: Any = None) -> Any:
        """The values of a header, joined; ``default`` if there are none."""
        values = self.headers.get_all(name)
        return ", ".join(values) if values else default

    def getheaders(self) -> list[tuple[str, str]]:
        """All headers."""
        return list(self.headers.items())

    def isclosed(self) -> bool:
        """Whether nothing more can be read."""
        return self.closed


def _as_read(headers: HTTPMessage) -> HTTPMessage:
    """The headers that fit the body."""
    if headers.get("Content-Encoding", "").strip().lower() not in CODINGS:
        return headers
    kept = HTTPMessage()
    for name, value in headers.items():
        if name.lower() not in ("content-encoding", "content-length"):
            kept[name] = value
    return kept


class _Body(io.RawIOBase):
    """Reads what comes in."""

    def __init__(self, outcome: Outcome) -> None:
        self._incoming = outcome.incoming
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = memoryview(self._wait_for(self._incoming.next))
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._left))
        target[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def readall(self) -> bytes:
        left, self._left = bytes(self._left), memoryview(b"")
        rest = self._wait_for(self._incoming.rest)
        return left + rest if left else rest

    def _wait_for(self, step: Callable[[], Any]) -> bytes:
        try:
            return bytes(finished(step()))
        except BrokenAnswerError as error:
            raise IncompleteRead(b"") from error

    def close(self) -> None:
        if not self.closed:
            self._incoming.close()
        super().close()


class PageHandler(urllib_request.AbstractHTTPHandler):
    """Opens http and https addresses over the browser or the proxy; for openers of one's own."""

    handler_order = 400
    """Before those that would open a socket."""

    http_request = https_request = urllib_request.AbstractHTTPHandler.do_request_

    def http_open(self, asked: urllib_request.Request) -> UrlResponse:
        """Make the request.

        Raises:
            URLError: there is no answer; ``reason`` says why.
        """
        return opened(self, asked)

    https_open = http_open


def urlopen(url: Any, data: Any = None, timeout: Any = UNSET) -> Any:
    """The same as ``urllib.request.urlopen``, also where nothing was installed.

    Raises:
        urllib.error.HTTPError: the status is an error's.
        urllib.error.URLError: there is no answer.
    """
    return urllib_request.build_opener(PageHandler).open(url, data, timeout)


def opened(handler: Any, asked: urllib_request.Request) -> UrlResponse:
    """What a handler's ``http_open`` or ``https_open`` gives.

    Raises:
        URLError: there is no answer; ``reason`` says why.
        TimeoutError: nothing has happened in time.
    """
    opener = getattr(handler, "parent", None)
    keeps_cookies = any(
        isinstance(each, urllib_request.HTTPCookieProcessor) for each in getattr(opener, "handlers", ())
    )
    request = _request(asked)
    client = Client(
        "proxy" if keeps_cookies and installed().relays and installed().http == "auto" else None,
        still=stands_still("urlopen"),
        follow=False,
    )
    try:
        outcome = finished(client.make(request))
    except TimeoutError:
        raise
    except OSError as error:
        raise URLError(error) from error
    return UrlResponse(outcome, request.url)


def _request(asked: urllib_request.Request) -> Request:
    headers = {**asked.unredirected_hdrs, **asked.headers}
    timeout = socket.getdefaulttimeout() if asked.timeout is UNSET else asked.timeout
    return Request.make(
        asked.full_url.partition("#")[0],
        asked.get_method(),
        headers=headers,
        body=_content(asked.data),
        timeout=timeout,
    )


def _content(data: Any) -> bytes | None:
    """The bytes of what ``urlopen`` takes as data."""
    if data is None:
        return None
    if hasattr(data, "read"):
        data = data.read()
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    return b"".join(data)
