"""All sessions of the proxy: who is let in, who may come back, and how much all of them may take."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pynet_browser import __version__
from pynet_browser.errors import ProtocolError
from pynet_browser.frames import Goaway, Hello, Welcome
from pynet_browser.proxy import guard
from pynet_browser.proxy.channels import Channels
from pynet_browser.proxy.config import Config
from pynet_browser.proxy.policy import Policy
from pynet_browser.proxy.resolver import Resolver
from pynet_browser.proxy.session import Session
from pynet_browser.proxy.tcp import READ_MAX
from pynet_browser.window import WINDOW_INITIAL
from pynet_browser.wire import VERSION, encode_frame, encode_message

if TYPE_CHECKING:
    from pynet_browser.proxy.compat.client import Client

__all__ = ["GreetingError", "Sessions"]

IDLE_CHECK = 0.02
"""Seconds between looks at whether all sessions are idle, while the proxy stops."""


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


class Sessions:
    """The sessions and the foreign clients that exist, and what they use together."""

    def __init__(self, config: Config, policy: Policy, resolver: Resolver) -> None:
        self.config = config
        self.policy = policy
        self.resolver = resolver
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

    def account(self, change: int) -> None:
        """A session holds so many bytes more, or fewer."""
        was_full = self.full
        self.buffered += change
        if was_full and not self.full:
            for owner in (*self._sessions.values(), *self._clients):
                owner.go_on()

    @contextlib.contextmanager
    def unauthenticated(self) -> Iterator[None]:
        """The time in which a carrier has not shown its token.

        Raises:
            GreetingError: too many are at it already.
        """
        if self._unauthenticated >= self.config.limits.unauthenticated:
            raise GreetingError("busy", "too many pages are connecting at once; try again")
        self._unauthenticated += 1
        try:
            yield
        finally:
            self._unauthenticated -= 1

    def admit(self, hello: Hello) -> Session:
        """Whom a greeting lets in: to a new session, or to the one it names.

        Raises:
            GreetingError: it may not come in.
        """
        self.authenticate(hello)
        session = self._resumed(hello) if hello.session else self._created(hello)
        try:
            session.resume(hello.seen)
        except ProtocolError as error:
            session.end()
            raise GreetingError("session", f"the session cannot be resumed: {error}") from error
        return session

    def authenticate(self, hello: Hello) -> None:
        """Check what every greeting shows.

        Raises:
            GreetingError: whoever sent it may not come in.
        """
        if refusal := guard.check_token(hello.token, self.config):
            raise GreetingError(refusal.code, refusal.message)
        if hello.version != VERSION:
            raise GreetingError(
                "version",
                f"the page speaks version {hello.version} of the protocol and the proxy version {VERSION}; "
                f"install pynet-browser {__version__} in the page, or the page's version here",
            )

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

    def check_room(self) -> None:
        """Whether one more may come.

        Raises:
            GreetingError: there is no room.
        """
        if self.draining:
            raise GreetingError("busy", "the proxy is stopping")
        if len(self) >= self.config.limits.sessions:
            raise GreetingError(
                "busy", f"the proxy has {len(self)} sessions, the most it allows (limits.sessions)"
            )

    def enter(self, client: Client[Any]) -> None:
        """A foreign client has come; there is room."""
        self._clients.add(client)

    def leave(self, client: Client[Any]) -> None:
        """A foreign client is gone."""
        self._clients.discard(client)

    def _created(self, hello: Hello) -> Session:
        self.check_room()
        session = Session(secrets.token_hex(8), secrets.token_urlsafe(24), self, hello.window, hello.replay)
        self._sessions[session.name] = session
        return session

    def _resumed(self, hello: Hello) -> Session:
        session = self._sessions.get(hello.session)
        if session is None or not hmac.compare_digest(session.key.encode(), hello.key.encode()):
            raise GreetingError(
                "session",
                "the proxy no longer knows this session: it was restarted, or the connection was gone for "
                f"longer than its grace period of {self.config.grace:g} s",
            )
        return session

    def forget(self, session: Session) -> None:
        """A session has ended."""
        self._sessions.pop(session.name, None)

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
        stopping = [client.stop() for client in self._clients]
        await asyncio.gather(*(session.carriage.ended() for session in sessions), *stopping)
        await self.channels.close()
