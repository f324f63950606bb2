"""Requests on their way: by the browser, by the proxy, or by the one after the other."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from pynet_browser.errors import CrossOriginError, MixedContentError, PagePolicyError, RequestError
from pynet_browser.http.browser import BrowserTransport, StandstillTransport
from pynet_browser.http.outgoing import Outgoing
from pynet_browser.http.redirects import REDIRECTS_MAX, redirected
from pynet_browser.http.relay import RelayTransport
from pynet_browser.http.request import Request
from pynet_browser.http.route import (
    Mode,
    Place,
    Via,
    barred,
    denied,
    may_repeat,
    mixed,
    needs_preflight,
    preflight,
)
from pynet_browser.http.sockets import SocketTransport
from pynet_browser.http.transport import Head, Incoming, Sent, Transport
from pynet_browser.http.waiting import settled
from pynet_browser.runtime import can_suspend, page_side
from pynet_browser.settings import installed
from pynet_browser.tls.side import ends_in_page

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

__all__ = ["Client", "Outcome", "page_place"]

REMEMBERED = 300.0
"""Seconds for which a server is known not to share its answers with this page."""

REMEMBERED_MAX = 256

LOOK_TIMEOUT = 5.0
"""Seconds for finding out whether a server is there at all."""

_keeping: dict[tuple[str, str, int | None], float] = {}
"""Origins whose answers this page does not get by itself, and until when that is taken for granted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer, and how it came.

    Attributes:
        incoming: it.
        via: the way it took.
        history: redirects that led to it, where the proxy was used.
    """

    incoming: Incoming
    via: Via
    history: tuple[Head, ...] = ()


class Client:
    """Makes one request.

    Args:
        mode: ``auto``, ``browser`` or ``proxy``; None for what was installed.
        still: whether to wait by synchronous requests.
        cookies: are sent and kept, by the proxy; the browser has its own.
        sent: told how much of the body has gone out.
        follow: whether redirects are followed where no browser does that.
    """

    def __init__(
        self,
        mode: Mode | None,
        *,
        still: bool,
        cookies: CookieJar | None = None,
        sent: Sent | None = None,
        follow: bool = True,
    ) -> None:
        options = installed()
        self._mode = mode or options.http
        self._still = still
        self._carrier: Transport = StandstillTransport() if still else BrowserTransport()
        self._relay = RelayTransport(self._carrier, options) if options.relays else None
        self._cookies = cookies
        self._sent = sent
        self._follow = follow

    async def make(self, request: Request) -> Outcome:
        """Make it, and wait for what its answer begins with.

        Raises:
            OSError: there is no answer.
            ValueError: it cannot be made.
        """
        place = page_place()
        if request.source is not None:
            if self._streams(request, place):
                return await self._streamed(request)
            request = await request.collected()
        if self._mode == "proxy":
            return await self._relayed(request)
        why = barred(request, place) or self._only_relayed(request)
        if self._mode == "auto" and self._relay and (why or _keeps(request)):
            return await self._relayed(request)
        if mixed(request, place):
            raise MixedContentError(f"{why}: {request.url}. Ask for https, or {_BY_PROXY}")
        if why:
            raise RequestError(f"{why}; {_BY_PROXY}")
        try:
            return Outcome(await self._carrier.start(request, self._sent), "browser")
        except RequestError as error:
            return await self._rescued(request, place, error)

    # ── Bodies that go out while they come into being ──────────────────────────────────────────────────

    def _streams(self, request: Request, place: Place) -> bool:
        """Whether the browser may take the body piece by piece; over HTTP/1.1 it will not."""
        return (
            self._mode != "proxy"
            and not self._still
            and request.url.startswith("https:")
            and not (barred(request, place) or self._only_relayed(request))
            and not (self._relay and self._mode == "auto" and _keeps(request))
            and bool(page_side().streamsBodies())
        )

    async def _streamed(self, request: Request) -> Outcome:
        """Piece by piece; whole where nothing has gone out so."""
        source = Outgoing(cast(AsyncIterable[bytes], request.source))
        request = replace(request, source=source)
        try:
            return Outcome(await self._carrier.start(request, self._sent), "browser")
        except RequestError as error:
            if source.error:
                raise source.error from None
            if source.begun:
                raise RequestError(
                    f"the request to {urlsplit(request.url).netloc} broke off while its body went out "
                    f"({error.strerror})"
                ) from None
        return await self.make(await request.collected())

    def _only_relayed(self, request: Request) -> str:
        if self._cookies is not None:
            return "a browser sends and keeps its own cookies"
        if request.options.get("redirect") == "manual":
            return "browsers do not show pages where a redirect leads"
        return ""

    # ── Through the proxy ──────────────────────────────────────────────────────────────────────────

    async def _relayed(self, request: Request) -> Outcome:
        if self._relay is None:
            raise RequestError("there is no proxy: install(url) makes one known")
        if request.options.get("integrity"):  # never dropped without a word
            raise RequestError('integrity= is checked by browsers alone; via="browser" makes such a request')
        history: list[Head] = []
        while True:
            incoming = await self._beyond(request).start(self._with_cookies(request), self._sent)
            head = incoming.head
            self._keep_cookies(request, head)
            follow = request.options.get("redirect", "follow")
            following = redirected(request, head.status, head.headers.get("Location"))
            if following is None or follow == "manual" or not self._follow:
                return Outcome(incoming, "proxy", tuple(history))
            incoming.close()
            history.append(head)
            if follow == "error":
                raise RequestError(f"{request.url} redirects, which redirect='error' does not allow")
            if len(history) > REDIRECTS_MAX:
                raise RequestError(f"{history[0].url} leads through more than {REDIRECTS_MAX} redirects")
            request = following

    def _beyond(self, request: Request) -> Transport:
        """What reaches servers through the proxy: without its reading it, where that can be."""
        assert self._relay
        waits = self._still or can_suspend()
        if waits and request.url.startswith("https:") and ends_in_page():
            return SocketTransport(installed().agent)
        return self._relay

    def _with_cookies(self, request: Request) -> Request:
        if self._cookies is None:
            return request
        from urllib.request import Request as Asked

        asked = Asked(request.url, headers=dict(request.headers), method=request.method)
        self._cookies.add_cookie_header(asked)
        cookie = asked.get_header("Cookie")
        return request.having("Cookie", cookie) if cookie else request

    def _keep_cookies(self, request: Request, head: Head) -> None:
        if self._cookies is not None:
            from urllib.request import Request as Asked

            self._cookies.extract_cookies(_Answered(head), Asked(request.url))  # type: ignore[arg-type]

    # ── Where the browser has failed ───────────────────────────────────────────────────────────────

    async def _rescued(self, request: Request, place: Place, error: RequestError) -> Outcome:
        """Make it once more through the proxy, where that does no harm; or say what is known."""
        server = urlsplit(request.url).netloc
        foreign = not place.shares_origin(request)
        relays = foreign and self._mode == "auto" and self._relay is not None
        if relays and await self._has_not_arrived(request, place):
            return await self._relayed_from_now_on(request)
        found = await self._look(request)
        if found == "forbidden":
            if relays:
                return await self._relayed_from_now_on(request)
            raise PagePolicyError(_forbidden(server, self._relay is not None)) from None
        if foreign and (found == "kept" or (found == "shared" and needs_preflight(request))):
            raise CrossOriginError(_not_shared(request, place, server, self._relay is not None)) from None
        raise RequestError(
            f"no answer from {server}: its name is not known, nobody listens there, the connection broke, it "
            "redirects in circles, the server keeps its answers from this page, or the browser blocks it; "
            f"browsers do not tell which ({error.strerror})"
        ) from None

    async def _relayed_from_now_on(self, request: Request) -> Outcome:
        outcome = await self._relayed(request)
        _remember(request)
        return outcome

    async def _has_not_arrived(self, request: Request, place: Place) -> bool:
        """Whether making a request again does no harm: it changes nothing, or the browser has kept it back.

        The browser asks for leave by a preflight before it sends what is not simple. Asked the same by the
        proxy, the server says the same.
        """
        if may_repeat(request):
            return True
        if not needs_preflight(request) or self._relay is None:
            return False
        incoming = await self._beyond(request).start(preflight(request, place), None)
        incoming.close()
        return denied(request, place, incoming.head)

    async def _look(self, request: Request) -> str:
        """What this page can see of the server; empty where that cannot be awaited."""
        return "" if self._still else str(await settled(page_side().look(request.url, LOOK_TIMEOUT * 1000)))


_BY_PROXY = 'through the proxy it can be made: install(url), and http="auto" or "proxy"'


def _not_shared(request: Request, place: Place, server: str, proxied: bool) -> str:
    words = f"{server} does not let pages of {place.origin} make this {request.method} request (CORS)"
    if not proxied:
        return f"{words}; {_BY_PROXY}"
    if may_repeat(request):
        return f'{words}; via="proxy" makes it through the proxy'
    return f'{words}. It may have arrived, and was not made again; via="proxy" makes it through the proxy'


def _forbidden(server: str, proxied: bool) -> str:
    words = f"this page's own Content Security Policy does not let it connect to {server} (connect-src)"
    return f'{words}; via="proxy" makes the request through the proxy' if proxied else f"{words}; {_BY_PROXY}"


def page_place() -> Place:
    """Where this page is."""
    return Place(page_side().pageAddress())


class _Answered:
    """What ``http.cookiejar`` wants to see of an answer."""

    def __init__(self, head: Head) -> None:
        self._head = head

    def info(self) -> object:
        return self._head.headers


def _keeps(request: Request) -> bool:
    until = _keeping.get(request.origin)
    return until is not None and time.monotonic() < until


def _remember(request: Request) -> None:
    if len(_keeping) >= REMEMBERED_MAX:
        _keeping.clear()
    _keeping[request.origin] = time.monotonic() + REMEMBERED
