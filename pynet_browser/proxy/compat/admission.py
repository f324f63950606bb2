"""Who of the foreign clients is let in, and under which subprotocol. Checked before anything is upgraded.

They cannot greet as a page does, so the token comes with the request: as ``?token=``, as a part of the path
where a protocol has room for it, or as the subprotocol ``token.`` with the token percent-encoded behind it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from aiohttp import web

from pynet_browser.proxy.app import SESSIONS
from pynet_browser.proxy.door import GreetingError, Visitor
from pynet_browser.proxy.tenants import Tenant

__all__ = ["Offers", "check", "check_origin", "given_token", "offers_of"]

TOKEN_PREFIX = "token."
_TOKEN_CHARACTERS = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Offers:
    """The subprotocols that a client offers.

    Attributes:
        protocols: them, in its order, without the one that holds a token.
        token: what that one holds; None if there is none.
        token_protocol: that one itself.
    """

    protocols: tuple[str, ...]
    token: str | None
    token_protocol: str | None

    def choose(self, preferred: str = "") -> tuple[str, ...]:
        """The one to answer with, if any was offered: browsers fail a connection whose offer is not met."""
        if preferred in self.protocols:
            return (preferred,)
        if self.protocols:
            return self.protocols[:1]
        return () if self.token_protocol is None else (self.token_protocol,)


def offers_of(headers: Sequence[str]) -> Offers:
    """What ``Sec-WebSocket-Protocol`` says, in one header or several, with blanks wherever they may be."""
    offered = [each.strip() for header in headers for each in header.split(",")]
    offered = [each for each in offered if _TOKEN_CHARACTERS.fullmatch(each)]
    token = next((each for each in offered if each.startswith(TOKEN_PREFIX)), None)
    return Offers(
        tuple(each for each in offered if not each.startswith(TOKEN_PREFIX)),
        None if token is None else unquote(token.removeprefix(TOKEN_PREFIX)),
        token,
    )


def given_token(request: web.Request, offers: Offers, *, query: bool = True) -> str | None:
    """The token that a request shows; None if it shows none. ``query``: whether ``?token=`` is that."""
    if offers.token is not None:
        return offers.token
    in_path = request.match_info.get("token")
    return in_path if in_path is not None or not query else request.query.get("token")


def check_origin(request: web.Request) -> Tenant:
    """Let only those pages in that may come, and only while there is room; they show a token later.

    Raises:
        web.HTTPException: this one may not.
    """
    sessions = request.app[SESSIONS]
    try:
        sessions.door.check_origin(Visitor.of(request))
    except GreetingError as error:
        raise web.HTTPForbidden(text=error.message) from error
    _check_room(request, None)
    return sessions.tenants.stranger


def check(request: web.Request, token: str | None) -> Tenant:
    """Let only those in that know a token, and only while there is room; returns whose it is.

    Raises:
        web.HTTPException: this one may not.
    """
    check_origin(request)
    try:
        tenant = request.app[SESSIONS].door.admit(token or "", Visitor.of(request))
    except GreetingError as error:
        raise web.HTTPForbidden(text=error.message) from error
    _check_room(request, tenant)
    return tenant


def _check_room(request: web.Request, tenant: Tenant | None) -> None:
    sessions = request.app[SESSIONS]
    try:
        sessions.check_room(tenant)
    except GreetingError as error:
        sessions.door.refused(error, Visitor.of(request), tenant)
        raise web.HTTPServiceUnavailable(text=error.message) from error
