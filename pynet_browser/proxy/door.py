"""The one door to the proxy: every carrier and every client comes in through it, or is told why not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Self

from aiohttp import web

from pynet_browser.proxy import guard
from pynet_browser.proxy.audit import Audit, Voice
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
        audit: is told of whoever is refused.

    Attributes:
        refusals: how many were, by the code of ``GreetingError``.
    """

    def __init__(self, config: Config, tenants: Tenants, audit: Audit) -> None:
        self.refusals: Counter[str] = Counter()
        self._config = config
        self._tenants = tenants
        self._audit = audit
        self._voice = Voice()

    def check_origin(self, visitor: Visitor) -> None:
        """Refuse pages that no token lets in: before a token is asked for.

        Raises:
            GreetingError: this is one.
        """
        wanted, origins = self._config.wants_token, self._tenants.origins
        self._check(visitor, guard.check_origin(visitor.origin, visitor.own, origins, wants_token=wanted))

    def admit(self, token: str, visitor: Visitor) -> Tenant:
        """Whose token a visitor has shown.

        Raises:
            GreetingError: nobody's, or none that is for pages of that origin.
        """
        found = self._tenants.find(token)
        if isinstance(found, Refusal):
            raise self.refused(GreetingError(found.code, found.message), visitor)
        self._check_origin_of(found, visitor)
        return found

    def _check_origin_of(self, tenant: Tenant, visitor: Visitor) -> None:
        wanted = self._config.wants_token
        refusal = guard.check_origin(visitor.origin, visitor.own, tenant.origins, wants_token=wanted)
        if refusal and tenant.name:
            where = f"tokens.{tenant.name}.origins"
            message = f"the token {tenant.name!r} is not for pages from {visitor.origin} ({where})"
            refusal = Refusal(refusal.code, message)
        self._check(visitor, refusal, tenant)

    def _check(self, visitor: Visitor, refusal: Refusal | None, tenant: Tenant | None = None) -> None:
        if refusal:
            raise self.refused(GreetingError(refusal.code, refusal.message), visitor, tenant)

    def refused(self, error: GreetingError, visitor: Visitor, tenant: Tenant | None = None) -> GreetingError:
        """Somebody is not let in; ``tenant`` if his token is known."""
        self.refusals[error.code] += 1
        stranger = _Stranger(visitor, self._voice, tenant.name if tenant else "")
        self._audit.decided(stranger, "admit", "refused", reason=error.code, message=error.message)
        return error


@dataclass(frozen=True, slots=True)
class _Stranger:
    """Whoever is refused, for the log: all of them share what may be written of them."""

    visitor: Visitor
    voice: Voice
    token: str
    name: str = ""
