"""The one door to the proxy: every carrier and every client comes in through it, or is told why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from aiohttp import web

from pynet_browser.proxy import guard
from pynet_browser.proxy.config import Config
from pynet_browser.proxy.guard import Refusal
from pynet_browser.proxy.tenants import Tenant, Tenants

__all__ = ["Door", "GreetingError", "Visitor", "own_origin"]


class GreetingError(Exception):
    """A carrier's greeting is refused.

    Attributes:
        code: ``"token"``, ``"origin"``, ``"version"``, ``"busy"`` or ``"session"``.
        message: a sentence that says what to change.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def own_origin(request: web.Request) -> str:
    """The origin that this request's page has when the proxy itself served it."""
    return f"{request.scheme}://{request.host}"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where a request comes from.

    Attributes:
        remote: the address of its connection.
        origin: its page's origin; None for a program.
        own: the proxy's own origin, as the request names it.
    """

    remote: str
    origin: str | None
    own: str

    @classmethod
    def of(cls, request: web.Request) -> Self:
        """Who makes a request."""
        return cls(request.remote or "", request.headers.get("Origin"), own_origin(request))


class Door:
    """Checks origins and tokens.

    Args:
        config: says whether there are tokens at all.
        tenants: know them.
    """

    def __init__(self, config: Config, tenants: Tenants) -> None:
        self._config = config
        self._tenants = tenants

    def check_origin(self, visitor: Visitor) -> None:
        """Refuse pages that no token lets in: before a token is asked for.

        Raises:
            GreetingError: this is one.
        """
        wanted, origins = self._config.wants_token, self._tenants.origins
        self._check(guard.check_origin(visitor.origin, visitor.own, origins, wants_token=wanted))

    def admit(self, token: str, visitor: Visitor) -> Tenant:
        """Whose token a visitor has shown.

        Raises:
            GreetingError: nobody's, or none that is for pages of that origin.
        """
        found = self._tenants.find(token)
        if isinstance(found, Refusal):
            raise GreetingError(found.code, found.message)
        self._check_origin_of(found, visitor)
        return found

    def _check_origin_of(self, tenant: Tenant, visitor: Visitor) -> None:
        wanted = self._config.wants_token
        refusal = guard.check_origin(visitor.origin, visitor.own, tenant.origins, wants_token=wanted)
        if refusal and tenant.name:
            where = f"tokens.{tenant.name}.origins"
            message = f"the token {tenant.name!r} is not for pages from {visitor.origin} ({where})"
            refusal = Refusal(refusal.code, message)
        self._check(refusal)

    def _check(self, refusal: Refusal | None) -> None:
        if refusal:
            raise GreetingError(refusal.code, refusal.message)
