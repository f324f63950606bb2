"""All sessions of the proxy: who is let in, who may come back, and how much all of them may take."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pynet_browser import __version__
from pynet_browser.errors import ProtocolError
from pynet_browser.frames import Goaway, Hello, Welcome
from pynet_browser.proxy.audit import Audit
from pynet_browser.proxy.channels import Channels
from pynet_browser.proxy.config import Config, Limits
from pynet_browser.proxy.door import Door, GreetingError, Visitor
from pynet_browser.proxy.endpoint import Traffic
from pynet_browser.proxy.limits import Pace
from pynet_browser.proxy.session import Session
from pynet_browser.proxy.tcp import READ_MAX
from pynet_browser.window import WINDOW_INITIAL
from pynet_browser.wire import VERSION, encode_frame, encode_message

if TYPE_CHECKING:
    from pynet_browser.proxy.compat.client import Client
    from pynet_browser.proxy.owner import Owner
    from pynet_browser.proxy.resolver import Lookups
    from pynet_browser.proxy.tenants import Tenant, Tenants

__all__ = ["Everybody", "Sessions"]

CARRIERS = ("websocket", "http", "stream", "relay", "websockify", "wisp", "posix")

IDLE_CHECK = 0.02
"""Seconds between looks at whether all sessions are idle, while the proxy stops."""


@dataclass(frozen=True, slots=True)
class Everybody:
    """How fast all together may connect, take bytes from hosts, and send some."""

    connects: Pace | None
    receiving: Pace | None
    sending: Pace | None

    @classmethod
    def of(cls, limits: Limits) -> Self:
        """As the limits have it."""
        return cls(
            Pace.of(limits.connects_per_second_total),
            Pace.of(limits.bytes_per_second_total),
            Pace.of(limits.bytes_per_second_total),
        )


class Sessions:
    """The sessions and the foreign clients that exist, and what they use together."""

    def __init__(self, config: Config, tenants: Tenants) -> None:
        self.config = config
        self.tenants = tenants
        self.audit = Audit()
        self.door = Door(config, tenants, self.audit)
        self.everybody = Everybody.of(config.limits)
        self.channels = Channels(config)
        self.sockets = 0
        """Open sockets of all sessions."""
        self.buffered = 0
        """Bytes held for all sessions."""
        self.share = config.limits.buffered_total // config.limits.sessions
        """Bytes that a session may hold however much the others do."""
        self.scratch = memoryview(bytearray(READ_MAX))
        """Where sockets read into, one at a time."""
        self._sessions: dict[str, Session] = {}
        self._clients: set[Client[Any]] = set()
        self.carried = {kind: Traffic() for kind in CARRIERS}
        """What carriers have brought from clients, and taken to them."""
        self._moved: dict[tuple[str, str], Traffic] = {}
        self._unauthenticated = 0
        self.draining = False
        """Whether the proxy will stop, and lets no new session begin."""

    def __len__(self) -> int:
        return len(self._sessions) + len(self._clients)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions.values())

    @property
    def full(self) -> bool:
        """Whether all sessions together hold as much as they may."""
        return self.buffered >= self.config.limits.buffered_total

    def moved(self, tenant: Tenant, kind: str) -> Traffic:
        """What closed sockets of one kind have moved, of those with one token."""
        return self._moved.setdefault((tenant.name, kind), Traffic())

    def traffic(self) -> dict[tuple[str, str], Traffic]:
        """What all sockets have moved, those that are closed too: by name of the token, and kind."""
        found: dict[tuple[str, str], Traffic] = {}
        for labels, traffic in self._moved.items():
            found.setdefault(labels, Traffic()).add(traffic)
        for owner in self.owners:
            for socket in owner:
                found.setdefault((owner.token, socket.kind), Traffic()).add(socket.traffic)
        return found

    @property
    def clients(self) -> Iterable[Client[Any]]:
        """Foreign clients."""
        return self._clients

    @property
    def owners(self) -> Iterator[Owner[Any]]:
        """Sessions and foreign clients."""
        yield from self._sessions.values()
        yield from self._clients

    @property
    def lookups(self) -> Lookups:
        """How many names were looked up for them."""
        return self.tenants.stranger.resolver.lookups

    def account(self, change: int) -> None:
        """A session holds so many bytes more, or fewer."""
        was_full = self.full
        self.buffered += change
        if was_full and not self.full:
            for owner in (*self._sessions.values(), *self._clients):
                owner.go_on()

    @contextlib.contextmanager
    def unauthenticated(self, visitor: Visitor) -> Iterator[None]:
        """The time in which a carrier has not shown its token.

        Raises:
            GreetingError: too many are at it already.
        """
        if self._unauthenticated >= self.config.limits.unauthenticated:
            error = GreetingError("busy", "too many pages are connecting at once (limits.unauthenticated)")
            raise self.door.refused(error, visitor)
        self._unauthenticated += 1
        try:
            yield
        finally:
            self._unauthenticated -= 1

    def admit(self, hello: Hello, visitor: Visitor) -> Session:
        """Whom a greeting lets in: to a new session, or to the one it names.

        Raises:
            GreetingError: it may not come in.
        """
        tenant = self.authenticate(hello, visitor)
        try:
            if hello.session:
                session = self._resumed(hello, tenant)
                session.visitor = visitor
            else:
                session = self._created(hello, tenant, visitor)
        except GreetingError as error:
            self.door.refused(error, visitor, tenant)
            raise
        try:
            session.resume(hello.seen)
        except ProtocolError as error:
            session.end()
            raise GreetingError("session", f"the session cannot be resumed: {error}") from error
        return session

    def authenticate(self, hello: Hello, visitor: Visitor) -> Tenant:
        """Check what every greeting shows; returns whose token that is.

        Raises:
            GreetingError: whoever sent it may not come in.
        """
        tenant = self.door.admit(hello.token, visitor)
        if hello.version != VERSION:
            raise self.door.refused(
                GreetingError(
                    "version",
                    f"the page speaks version {hello.version} of the protocol and the proxy version "
                    f"{VERSION}; install pynet-browser {__version__} in the page, or the page's version here",
                ),
                visitor,
                tenant,
            )
        return tenant

    def welcome(self, session: Session) -> bytes:
        """The message that answers a greeting; it says what has arrived until now."""
        welcome = Welcome(
            0,
            VERSION,
            session.name,
            session.key,
            session.link.received,
            WINDOW_INITIAL,
            session.link.replay_limit,
            int(self.config.grace * 1000),
            int(self.config.keepalive * 1000),
            self._features,
            f"pynet-browser/{__version__}",
        )
        return encode_message(0, session.link.received, [encode_frame(welcome)])

    @property
    def _features(self) -> tuple[str, ...]:
        allowed = {"tls": self.config.tls_proxy, "webrtc": self.channels.offered}
        return tuple(name for name, there in allowed.items() if there)

    def check_room(self, tenant: Tenant | None = None) -> None:
        """Whether one more may come: at all, and with the token of ``tenant``.

        Raises:
            GreetingError: there is no room.
        """
        if self.draining:
            raise GreetingError("busy", "the proxy is stopping")
        if len(self) >= self.config.limits.sessions:
            raise GreetingError(
                "busy", f"the proxy has {len(self)} sessions, the most it allows (limits.sessions)"
            )
        if tenant:
            self.check_tenant_room(tenant)

    @staticmethod
    def check_tenant_room(tenant: Tenant) -> None:
        """Whether one more may come with this token.

        Raises:
            GreetingError: there are too many.
        """
        limit, count = tenant.limits.sessions, len(tenant.members)
        if limit is not None and count >= limit:
            raise GreetingError("busy", tenant.too_many("sessions", count))

    def enter(self, client: Client[Any]) -> None:
        """A foreign client has come; there is room."""
        self._clients.add(client)
        client.tenant.members.add(client)

    def leave(self, client: Client[Any]) -> None:
        """A foreign client is gone."""
        self._clients.discard(client)
        client.tenant.members.discard(client)

    def _created(self, hello: Hello, tenant: Tenant, visitor: Visitor) -> Session:
        self.check_room(tenant)
        session = Session(self, tenant, visitor, hello)
        self._sessions[session.name] = session
        tenant.members.add(session)
        session.decided("session", "allowed")
        return session

    def _resumed(self, hello: Hello, tenant: Tenant) -> Session:
        session = self._sessions.get(hello.session)
        if session is None or not hmac.compare_digest(session.key.encode(), hello.key.encode()):
            raise GreetingError(
                "session",
                "the proxy no longer knows this session: it was restarted, or the connection was gone for "
                f"longer than its grace period of {self.config.grace:g} s",
            )
        if session.tenant is not tenant:
            raise GreetingError("session", "the session was begun with another token; go on with that one")
        session.decided("session", "resumed")
        return session

    def forget(self, session: Session) -> None:
        """A session has ended."""
        self._sessions.pop(session.name, None)
        session.tenant.members.discard(session)

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost if every session ended now."""
        return all(owner.idle for owner in (*self._sessions.values(), *self._clients))

    def drain(self) -> None:
        """Let no new session begin, and tell every page that the proxy will stop; others cannot be told."""
        self.draining = True
        notice = encode_message(0, 0, [encode_frame(Goaway(0, "drain", "the proxy is about to stop"))])
        for session in self:
            session.carriage.announce(notice)

    async def drained(self) -> None:
        """Wait until no session has anything left to do."""
        while not self.idle:  # noqa: ASYNC110 - asked for once, so nothing announces it
            await asyncio.sleep(IDLE_CHECK)

    async def close(self) -> None:
        """End every session: the proxy stops."""
        sessions = list(self)
        for session in sessions:
            session.end(Goaway(0, "shutdown", "the proxy was stopped"))
        stopping = [client.stop() for client in list(self._clients)]
        await asyncio.gather(*(session.carriage.ended() for session in sessions), *stopping)
        await self.channels.close()
