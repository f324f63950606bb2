"""A foreign client: one WebSocket, its sockets on the proxy's host, and the limits that hold for both."""

from __future__ import annotations

import abc
import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from typing import Generic

from aiohttp import web

from pynet_browser.proxy.app import CONFIG, SESSIONS
from pynet_browser.proxy.compat.channel import FLUSH_TIMEOUT, Channel
from pynet_browser.proxy.door import Visitor
from pynet_browser.proxy.owner import Owner, S
from pynet_browser.proxy.tenants import Tenant

__all__ = ["AHEAD", "Client", "ClientError"]

log = logging.getLogger(__name__)

AHEAD = 512 * 1024
"""Bytes that may wait for a WebSocket: enough to keep it busy; the rest waits at the hosts."""

NORMAL, GOING_AWAY, PROTOCOL_ERROR = 1000, 1001, 1002
POLICY_VIOLATION, INTERNAL_ERROR, TRY_AGAIN_LATER = 1008, 1011, 1013
"""Close codes (RFC 6455 §7.4.1, and IANA's registry)."""


class ClientError(Exception):
    """A client cannot be served any longer.

    Attributes:
        code: what its WebSocket is closed with.
        reason: a few words.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Client(Owner[S], abc.ABC, Generic[S]):
    """One foreign client, from its handshake until its last socket is closed.

    Attributes:
        channel: its WebSocket.
    """

    KIND = ""

    def __init__(self, request: web.Request, channel: Channel, tenant: Tenant) -> None:
        name = f"{self.KIND}-{secrets.token_hex(4)}"
        super().__init__(name, request.app[SESSIONS], tenant, Visitor.of(request))
        self.channel = channel
        channel.grown = self._grown
        self.connect_timeout = request.app[CONFIG].connect_timeout
        self._ended = False
        self._stopping = False
        self._done = asyncio.Event()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Serve the client until it is gone, and has left nothing behind."""
        self._sessions.enter(self)
        self.decided("session", "allowed")
        tasks = [
            asyncio.create_task(self.channel.write(self._sent)),
            asyncio.create_task(self.channel.watch()),
        ]
        for task in tasks:  # they end early when the connection is no more
            task.add_done_callback(lambda _: self._changed.set())
        try:
            await self.read()
            await self._let_go()
        except ClientError as error:
            log.info("%s: %s", self.name, error)
            self.channel.finish(error.code, error.reason)
        except Exception:
            self.channel.finish(INTERNAL_ERROR, "the proxy failed; its log says more")
            raise
        finally:
            self._abort_all()
            self.channel.finish(NORMAL)
            tasks[1].cancel()
            try:
                await tasks[0]
            finally:
                tasks[0].cancel()
                self._ended = True
                for brake in (self.receiving, self.sending):
                    if brake is not None:
                        brake.close()
                self._account()
                self.decided("session", "ended", seconds=round(time.monotonic() - self.since, 3))
                self._sessions.leave(self)
                self._done.set()

    @abc.abstractmethod
    async def read(self) -> None:
        """Do what messages ask, until there are no more, or the client has been closed.

        Raises:
            ClientError: it cannot go on.
        """

    def let_go(self) -> None:
        """The client is gone: let go of its sockets, but let go out what it has sent."""
        self._abort_all()

    async def stop(self) -> None:
        """The proxy stops: let go of everything at once."""
        self._end(GOING_AWAY, "the proxy was stopped")
        await self._done.wait()

    def dismiss(self, reason: str) -> None:
        """Its token is valid no more: end, and say why."""
        self._end(POLICY_VIOLATION, reason)

    def become(self, tenant: Tenant) -> None:
        """A stranger has shown a token.

        Raises:
            GreetingError: no more may come with it.
        """
        self._sessions.check_tenant_room(tenant)
        self.tenant.members.discard(self)
        self.tenant = tenant
        tenant.members.add(self)
        self.bounds_changed()

    def _end(self, code: int, reason: str) -> None:
        self._stopping = True
        self.channel.drop()
        self.channel.finish(code, reason)
        self._abort_all()
        self._changed.set()

    async def _let_go(self) -> None:
        if self._stopping:
            return
        self.channel.drop()
        self.let_go()
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT):
                while self._sockets and not self._stopping:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            log.info("%s: hosts have not taken what it sent", self.name)

    def _abort_all(self) -> None:
        for socket in list(self._sockets.values()):
            socket.abort()

    # ── How much ───────────────────────────────────────────────────────────────────────────────────

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._ended

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost if it ended now."""
        return not self._sockets and not self.channel.waiting

    @property
    def buffered(self) -> int:
        """Bytes held for this client in all."""
        return self.channel.waiting + self.channel.unfinished + self._held

    @property
    def room(self) -> int:
        """Bytes that sockets may still pass on to the client."""
        room = 0 if self.starved else AHEAD - self.channel.waiting
        return room if self.receiving is None else self.receiving.within(room)

    def _grown(self) -> None:
        """More of a message has come. Where all hold too much, those with more of one than their share go."""
        self._account()
        channel = self.channel
        if channel.unfinished > self._sessions.share and self._sessions.full and not channel.finished:
            log.info("%s: %d bytes of a message, and no room for the rest", self.name, channel.unfinished)
            channel.finish(TRY_AGAIN_LATER, "the proxy has no room for so large a message now")
            channel.stop_reading()

    def released(self, size: int) -> None:
        """What was held has gone out."""
        super().released(size)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Read nothing more until something that was released, or ended, makes a condition true."""
        while not (condition() or self._stopping or self.channel.finished or self.channel.gone):
            self._changed.clear()
            await self._changed.wait()

    def forget(self, socket: S) -> None:
        """A socket is closed."""
        super().forget(socket)
        self._changed.set()

    def _sent(self, _about: int, _size: int) -> None:
        """So much of a socket has been sent to the client."""
        self.taken()
