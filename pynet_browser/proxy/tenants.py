"""Whose token opens what, while the proxy runs: tokens come, change, are revoked and expire."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from pynet_browser.proxy.audit import Voice
from pynet_browser.proxy.config import Config
from pynet_browser.proxy.guard import Refusal
from pynet_browser.proxy.limits import Pace
from pynet_browser.proxy.policy import Policy
from pynet_browser.proxy.resolver import Resolver
from pynet_browser.proxy.tokens import Token, TokenLimits, digest_of

__all__ = ["Member", "Tenant", "Tenants"]

CLOCK_CHECK = 30.0
"""Seconds after which the time of day is looked at anew: a clock may be set."""


class Member(Protocol):
    """What came in with a token: a session, a foreign client, a relayed request."""

    def dismiss(self, reason: str) -> None:
        """Its token is valid no more: end, and say why."""

    def bounds_changed(self) -> None:
        """What its tenant may take is another."""


class Tenant:
    """Those who came in with one token.

    Attributes:
        name: the token's; empty for the one without a name, and where there is none.
        policy: what they may reach, and where they may listen.
        resolver: looks names up for them.
        origins: pages that may be among them, beside the proxy's own.
        limits: what they may take together.
        members: sessions and foreign clients among them.
        errands: requests under way for them.
        visits: those of them who are in rooms for WebRTC.
        sockets: how many they have open.
        voice: how much may be written of their requests.
        connects, receiving, sending: how fast they may connect, take bytes from hosts and send some.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: set[Member] = set()
        self.errands: set[Member] = set()
        self.visits: set[Member] = set()
        self.sockets = 0
        self.voice = Voice()
        self.expires: float | None = None

    def change(self, policy: Policy, resolver: Resolver, config: Config, token: Token | None = None) -> None:
        """Have it hold what the configuration says."""
        allow, deny, listen = config.allow, config.deny, config.listen
        if token is not None:
            allow, deny, listen = allow + token.allow, deny + token.deny, listen + token.listen
        self.policy = policy.extended(allow, deny, listen)
        self.resolver = resolver.under(self.policy)
        own = token.origins if token else None
        self.origins = config.origins if own is None else own
        self.limits = limits = token.limits if token else TokenLimits()
        self.expires = token.expires.timestamp() if token and token.expires else None
        self.connects = Pace.of(limits.connects_per_second, limits.connect_burst)
        self.receiving = Pace.of(limits.bytes_per_second, limits.bytes_burst)
        self.sending = Pace.of(limits.bytes_per_second, limits.bytes_burst)
        for member in self.members:
            member.bounds_changed()

    def dismiss(self, reason: str) -> None:
        """Their token is valid no more."""
        for member in (*self.members, *self.errands, *self.visits):
            member.dismiss(reason)

    def too_many(self, what: str, count: int) -> str:
        """The sentence for who would be one more than a limit allows."""
        limit = f"tokens.{self.name}.limits.{what}"
        return f"the token {self.name!r} has {count} {what}, the most it may have ({limit})"


class Tenants:
    """All of them, by their tokens.

    Args:
        config: names the tokens at the start.
        policy: the built-in rules.
        resolver: looks names up for all.
        clock: the time of day.

    Attributes:
        general: who shows the token without a name, or comes where none is wanted; None if there is no such
            token.
        stranger: who has shown no token yet.
    """

    def __init__(
        self, config: Config, policy: Policy, resolver: Resolver, clock: Callable[[], float] = time.time
    ) -> None:
        self._policy = policy
        self._resolver = resolver
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._open = not config.wants_token
        self._named: dict[bytes, Tenant] = {}
        self._ended: dict[bytes, str] = {}  # why a token that was known is valid no more
        self._replaced = asyncio.Event()
        self.stranger = Tenant("")
        self.general = Tenant("") if self._open or config.token is not None else None
        self._general_key = b"" if config.token is None else self._key(digest_of(config.token))
        self.replace(config)

    def __iter__(self) -> Iterator[Tenant]:
        yield from ([self.general] if self.general else [])
        yield from self._named.values()

    @property
    def origins(self) -> tuple[str, ...]:
        """Pages that some token lets in, beside the proxy's own."""
        return tuple(dict.fromkeys(origin for tenant in self for origin in tenant.origins))

    def find(self, token: str) -> Tenant | Refusal:
        """Whose token it is. That takes as long for a near miss as for a far one, however many there are."""
        if self._open:
            assert self.general
            return self.general
        key = self._key(digest_of(token))
        if self.general and hmac.compare_digest(key, self._general_key):
            return self.general
        tenant = self._named.get(key)
        if tenant is None:
            return Refusal("token", self._ended.get(key) or self._unknown(token))
        if tenant.expires is not None and self._clock() >= tenant.expires:
            return Refusal("token", _has_expired(tenant))
        return tenant

    def knows(self, token: str) -> bool:
        """Whether it is a token, or was one: then it must stand in no log."""
        key = self._key(digest_of(token))
        named = key in self._named or key in self._ended
        return named or (bool(self._general_key) and hmac.compare_digest(key, self._general_key))

    def _unknown(self, token: str) -> str:
        if self.general is None:
            what = "does not know this token" if token else "wants a token"
            return f"the proxy {what}; whoever runs it hands them out"
        if not token:
            return "the proxy wants a token; it prints one, in its URL, when it starts"
        return "the token is not this proxy's; it prints the right one, in its URL, when it starts"

    def _key(self, digest: bytes) -> bytes:
        """Under what a token is kept. Nobody can choose it, so how long it takes to find it tells nothing."""
        return hashlib.blake2b(digest, key=self._secret).digest()

    # ── Change ─────────────────────────────────────────────────────────────────────────────────────────

    def replace(self, config: Config) -> None:
        """Have the named tokens and the rules be those of another configuration.

        Who came in with a token that is there no more has to leave. Sockets that are open stay so, whatever
        the rules are now.
        """
        for unnamed in (self.general, self.stranger):
            if unnamed:
                unnamed.change(self._policy, self._resolver, config)
        before, self._named = self._named, {}
        for token in config.tokens or ():
            key = self._key(token.digest)
            known = before.get(key)
            tenant = before.pop(key) if known and known.name == token.name else Tenant(token.name)
            tenant.change(self._policy, self._resolver, config, token)
            self._named[key] = tenant
            self._ended.pop(key, None)
        for key, tenant in before.items():
            reason = f"the token {tenant.name!r} was revoked"
            if key not in self._named:
                self._ended[key] = reason
            tenant.dismiss(reason)
        self._replaced.set()

    async def watch(self) -> None:
        """End what came in with tokens when they expire."""
        while True:
            self._replaced.clear()
            now = self._clock()
            patience = CLOCK_CHECK
            for tenant in self._named.values():
                if tenant.expires is None:
                    continue
                if tenant.expires <= now:
                    tenant.dismiss(_has_expired(tenant))
                else:
                    patience = min(patience, tenant.expires - now)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._replaced.wait()


def _has_expired(tenant: Tenant) -> str:
    return f"the token {tenant.name!r} has expired"
