"""``fetch`` as JavaScript has it, for Python."""

from __future__ import annotations

import errno
import json as json_module
from collections.abc import AsyncIterable
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from pynet_browser.http.browser import Arrived
from pynet_browser.http.client import Client, Outcome, page_place
from pynet_browser.http.request import Body, Headers, Request
from pynet_browser.http.response import Progress, Response, SyncResponse
from pynet_browser.http.route import Mode
from pynet_browser.http.storage import Storage
from pynet_browser.http.transport import Head, Sent, headers_of
from pynet_browser.http.waiting import finished, on_loop, stands_still

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

__all__ = ["FetchOptions", "fetch", "fetch_sync"]


class FetchOptions(TypedDict, total=False):
    """What ``fetch`` takes beside the address; all of it may be left out."""

    method: str
    headers: Headers | None
    body: Body | None
    json: Any
    timeout: float | None
    via: Mode | None
    redirect: Literal["follow", "error", "manual"]
    credentials: Literal["omit", "same-origin", "include"]
    mode: Literal["cors", "same-origin", "no-cors"]
    cache: Literal[
        "default",
        "no-store",
        "reload",
        "no-cache",
        "force-cache",
        "only-if-cached",
        "persist",
        "replace",
        "only",
    ]
    store_as: str | None
    integrity: str
    referrer: str
    referrer_policy: str
    keepalive: bool
    priority: Literal["high", "low", "auto"]
    cookies: CookieJar | None
    mime_type: str | None
    on_download: Progress | None
    on_upload: Sent | None


NOTHING_SAID = '{"status": 200, "reason": "OK", "url": "", "headers": []}'

STORING = ("persist", "replace", "only")

BROWSERS_NAMES = {
    "redirect": "redirect",
    "credentials": "credentials",
    "mode": "mode",
    "cache": "cache",
    "integrity": "integrity",
    "referrer": "referrer",
    "referrer_policy": "referrerPolicy",
    "keepalive": "keepalive",
    "priority": "priority",
}


async def fetch(url: str, **options: Unpack[FetchOptions]) -> Response:
    """Make an HTTP request, and wait until its answer begins.

    A status like 404 is an answer, and no error. Cancelling the task breaks the request off.

    Args:
        url: of http or https; relative to the page's address.
        **options:
            ``method``: ``GET`` unless given.
            ``headers``: a mapping, or pairs.
            ``body``: bytes, text, or a mapping, which is sent as a form.
            ``json``: a value to send as JSON, in place of ``body``.
            ``timeout``: seconds in which something has to happen, at first and between pieces of the answer.
            ``via``: ``auto``, ``browser`` or ``proxy``; what ``install`` was told unless given.
            ``redirect``, ``credentials``, ``mode``, ``cache``, ``integrity``, ``referrer``,
            ``referrer_policy``, ``keepalive``, ``priority``: as for JavaScript's fetch. The proxy heeds
            ``redirect``. And ``cache`` may be ``persist``: what is stored in IndexedDB, or else a download
            that is stored there; ``replace``: a download that is stored; ``only``: what is stored.
            ``store_as``: the key of that, in place of the address.
            ``cookies``: a jar whose cookies are sent, and which keeps those of the answer; for that the proxy
            is needed.
            ``mime_type``: what the answer's media type is taken for, whatever the server says.
            ``on_download(loaded, total)``: called as the body is read; ``total`` is None if not known.
            ``on_upload(loaded, total)``: called as the body goes out.

    Raises:
        ValueError: this cannot be asked for.
        CrossOriginError: the server does not share its answers with this page, and there is no proxy.
        MixedContentError: a page of https asks for http, and there is no proxy.
        TimeoutError: nothing has happened in time.
        socket.gaierror, ConnectionError, PolicyError: the proxy has found no way to the server.
        FileNotFoundError: ``cache`` is ``only``, and nothing is stored.
        RequestError: there is no answer, and browsers do not tell why.
    """
    return Response(**await _answered(url, options, still=False))


def fetch_sync(url: str, **options: Unpack[FetchOptions]) -> SyncResponse:
    """The same for code that cannot await.

    Where Python cannot be suspended the request blocks the page's thread, and the whole body comes at once;
    on a page's own thread ``timeout`` has no effect then, since browsers allow none.

    Args:
        url: see ``fetch``.
        **options: see ``fetch``.

    Raises:
        BlockingError: Python cannot be suspended here, and ``install(blocking="jspi")`` rules out the rest.
        OSError, ValueError: see ``fetch``.
    """
    still = stands_still("fetch_sync")
    if isinstance(body := options.get("body"), AsyncIterable):
        options["body"] = on_loop(_gathered(body))
    return SyncResponse(**finished(_answered(url, options, still=still)))


async def _gathered(pieces: AsyncIterable[bytes]) -> list[bytes]:
    return [piece async for piece in pieces]


async def _answered(url: str, options: FetchOptions, *, still: bool) -> dict[str, Any]:
    """What makes a response."""
    request = _request(url, options)
    cache = options.get("cache")
    if cache in STORING:
        outcome = await _stored(request, options, cache, still=still)
    else:
        outcome = await _client(options, still=still).make(request)
    if mime_type := options.get("mime_type"):
        headers = outcome.incoming.head.headers
        del headers["Content-Type"]
        headers["Content-Type"] = mime_type
    return {
        "incoming": outcome.incoming,
        "via": outcome.via,
        "asked": request.url,
        "history": outcome.history,
        "progress": options.get("on_download"),
    }


def _request(url: str, options: FetchOptions) -> Request:
    if unknown := set(options) - set(FetchOptions.__annotations__):
        raise TypeError(f"fetch() has no argument {', '.join(map(repr, sorted(unknown)))}")
    given: dict[str, Any] = dict(options)
    if given.get("cache") in STORING:
        del given["cache"]
    return Request.make(
        url,
        options.get("method", "GET"),
        headers=options.get("headers"),
        body=options.get("body"),
        json=options.get("json"),
        timeout=options.get("timeout"),
        options={theirs: given[ours] for ours, theirs in BROWSERS_NAMES.items() if ours in given},
        base=page_place().url,
    )


def _client(options: FetchOptions, *, still: bool) -> Client:
    return Client(
        options.get("via"), still=still, cookies=options.get("cookies"), sent=options.get("on_upload")
    )


async def _stored(request: Request, options: FetchOptions, cache: str, *, still: bool) -> Outcome:
    """A copy that outlasts the page, or one that does from now on."""
    if request.method != "GET":
        raise ValueError(f"cache={cache!r} is for GET requests")
    storage, key = Storage(), options.get("store_as") or request.url
    if cache != "replace":
        with suppress(KeyError):
            return Outcome(_copy(*await storage.load_described(key)), "storage")
    if cache == "only":
        raise FileNotFoundError(errno.ENOENT, "no copy of it is stored", key)
    outcome = await _client(options, still=still).make(request)
    head = outcome.incoming.head
    if not HTTPStatus.OK <= head.status < HTTPStatus.MULTIPLE_CHOICES:
        return outcome
    body = await outcome.incoming.rest()
    about = {"status": head.status, "reason": head.reason, "url": head.url, "headers": head.headers.items()}
    await storage.store(key, body, json_module.dumps(about))
    return Outcome(Arrived(head, body), outcome.via, outcome.history)


def _copy(about: str, body: bytes) -> Arrived:
    told: dict[str, Any] = json_module.loads(about or NOTHING_SAID)
    return Arrived(Head(told["status"], told["reason"], told["url"], headers_of(told["headers"])), body)
