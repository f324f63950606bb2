"""``urllib3``, and ``requests`` on top of it, over the browser or the proxy.

In a page urllib3 makes requests by the browser itself, in functions of its ``contrib.emscripten`` that these
take the place of. With ``install(http="proxy")`` its connections are those that it has anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any, cast

from pynet_browser.http.client import Client
from pynet_browser.http.request import Request
from pynet_browser.http.urllib import UrlResponse
from pynet_browser.http.waiting import finished, stands_still
from pynet_browser.settings import installed
from pynet_browser.stdlib.patches import Patches
from pynet_browser.tls.side import speaks_tls

__all__ = ["WHOLE", "patch"]


class _Whole(int):
    """A size of pieces that ``stream`` takes for all there is."""


WHOLE = _Whole(1 << 20)
"""How much ``requests`` is to read at once where it joins the pieces anyway: waiting for each of them makes
50 MB take half as long again."""


class _Message:
    """What ``requests`` looks for cookies in."""

    def __init__(self, msg: Any) -> None:
        self.msg = msg

    def isclosed(self) -> bool:
        return True


def _making(sockets: Any, *, secure: bool) -> Any:
    """How a pool's connections are made: those of Python's own sockets, where the proxy is to be used."""

    def __new__(cls: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - it becomes the class's own
        if installed().http == "proxy" and (not secure or speaks_tls()):
            return sockets(*args, **kwargs)
        return object.__new__(cls)

    return __new__


def patch(patches: Patches, module: Any) -> None:
    """Change ``urllib3.contrib.emscripten.connection``."""
    from urllib3 import connectionpool
    from urllib3._collections import HTTPHeaderDict
    from urllib3.contrib.emscripten.fetch import _RequestError, _TimeoutError
    from urllib3.contrib.emscripten.response import EmscriptenResponse

    def send(request: Any) -> Any:
        client = Client(None, still=stands_still("a request"), follow=False)
        body = request.body
        if body is not None and not isinstance(body, bytes):
            body = body.encode() if isinstance(body, str) else bytes(body)
        try:
            asked = Request.make(
                request.url,
                request.method,
                headers=request.headers,
                body=body or None,
                timeout=request.timeout or None,
            )
            outcome = finished(client.make(asked))
        except TimeoutError as error:
            raise _TimeoutError(str(error), request=request) from error
        except (OSError, ValueError) as error:
            raise _RequestError(str(error), request=request) from error
        head = outcome.incoming.head
        return EmscriptenResponse(
            status_code=head.status,
            headers=cast(Any, HTTPHeaderDict(head.headers.items())),
            body=UrlResponse(outcome, asked.url),
            request=request,
        )

    original = module.EmscriptenHTTPConnection.getresponse

    def getresponse(self: Any) -> Any:
        response = original(self)
        body = response._response.body
        if isinstance(body, UrlResponse):
            response.reason = body.reason
            response._original_response = _Message(body.headers)
        return response

    for name, ours in (("HTTPConnection", False), ("HTTPSConnection", True)):
        made = _making(getattr(connectionpool, name), secure=ours)
        patches.set(getattr(module, f"Emscripten{name}"), "__new__", made)
    patches.set(module, "send_request", send)
    patches.set(module, "send_streaming_request", send)
    patches.set(module.EmscriptenHTTPConnection, "getresponse", getresponse)
    _patch_reading(patches)


def _patch_reading(patches: Patches) -> None:
    """Change how bodies are read."""
    from urllib3.contrib.emscripten.response import EmscriptenHttpResponseWrapper
    from urllib3.exceptions import ProtocolError, ReadTimeoutError

    read_as_ever = EmscriptenHttpResponseWrapper.stream

    def stream(self: Any, amt: int | None = 2**16, decode_content: bool | None = None) -> Iterator[bytes]:
        body = self._response.body
        if not isinstance(body, UrlResponse) or not amt or self._closed:
            yield from read_as_ever(self, amt, decode_content)
            return
        with self._error_catcher():  # once, not for every piece: requests reads pieces of 10 kB
            while data := body.read(-1 if isinstance(amt, _Whole) else amt):
                yield data
            body.close()

    catch_as_ever = EmscriptenHttpResponseWrapper._error_catcher

    @contextmanager
    def error_catcher(self: Any) -> Iterator[None]:
        with catch_as_ever(self):
            try:
                yield
            except TimeoutError as error:
                raise ReadTimeoutError(self._pool, self.url, "Read timed out.") from error
            except (HTTPException, OSError) as error:
                raise ProtocolError(f"Connection broken: {error!r}", error) from error

    patches.set(EmscriptenHttpResponseWrapper, "stream", stream)
    patches.set(EmscriptenHttpResponseWrapper, "_error_catcher", error_catcher)
