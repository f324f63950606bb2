"""Rooms over aiohttp's WebSockets: reads, writes, and time. What holds in a room is said in ``rooms``."""

from __future__ import annotations

import asyncio
import contextlib
import time

from aiohttp import WSMsgType, web

from pynet_browser.proxy.compat import admission
from pynet_browser.proxy.config import Config
from pynet_browser.proxy.rooms import STOPPED, Bounds, Rooms, Seat
from pynet_browser.proxy.websockets import CLOSE_TIMEOUT, close_reason, stop_heartbeat
from pynet_browser.signalling import SUBPROTOCOL, check_name

__all__ = ["Signalling"]

UNSUPPORTED_DATA, POLICY_VIOLATION = 1003, 1008
"""Close codes (RFC 6455 §7.4.1)."""


class Signalling:
    """The endpoint, and who is at it.

    Attributes:
        rooms: those that there are.
    """

    def __init__(self, config: Config) -> None:
        limits = config.limits
        self._message_max = limits.room_message_bytes
        self._keepalive = config.keepalive
        self.rooms = Rooms(
            Bounds(
                limits.rooms,
                limits.room_message_bytes,
                limits.room_messages_per_second,
                limits.room_burst,
                limits.room_idle,
                limits.room_lifetime,
            )
        )
        self._serving: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one who may come in, until he leaves or has to go."""
        offers = admission.offers_of(request.headers.getall("Sec-WebSocket-Protocol", ()))
        tenant = admission.check(request, admission.given_token(request, offers))
        name = request.match_info["room"]
        try:
            check_name(name)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        socket = web.WebSocketResponse(
            protocols=offers.choose(SUBPROTOCOL),
            compress=False,
            heartbeat=self._keepalive,
            max_msg_size=self._message_max + 1,
        )
        await socket.prepare(request)
        # A task of its own, so that `close` can wait for it.
        most, there = tenant.limits.visits, len(tenant.visits)
        too_many = "" if most is None or there < most else tenant.too_many("visits", there)
        visit = _Visit(socket, request.transport, self.rooms, name, too_many)
        serving = asyncio.create_task(visit.run())
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        tenant.visits.add(visit)
        try:
            await serving
        finally:
            tenant.visits.discard(visit)
            stop_heartbeat(socket)
        return socket

    async def close(self) -> None:
        """The proxy stops."""
        self.rooms.close()
        if self._serving:
            await asyncio.wait(self._serving)


class _Visit:
    """One WebSocket in a room."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        rooms: Rooms,
        name: str,
        too_many: str,
    ) -> None:
        self._socket = socket
        self._transport = transport
        self._awake = asyncio.Event()
        self._over = asyncio.Event()
        self._seat = rooms.enter(name, self._wake, time.monotonic(), too_many)

    def _wake(self, seat: Seat) -> None:
        self._awake.set()
        if seat.ending is not None:
            self._over.set()

    def dismiss(self, reason: str) -> None:
        """The token is valid no more."""
        self._seat.end(POLICY_VIOLATION, reason)

    def bounds_changed(self) -> None:
        """None of them is about rooms."""

    async def run(self) -> None:
        """Pass on what is said until one of both ends it."""
        reading, writing = tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        for task in tasks:
            task.add_done_callback(lambda _: self._over.set())
        try:
            await self._over.wait()
        finally:
            self._seat.leave()
            writing.cancel()
            # While somebody reads, aiohttp closes without waiting for an answer, and when the proxy stops it
            # hears none. Otherwise there has to be one: what comes meanwhile would reset the connection.
            if self._seat.ending != STOPPED:
                reading.cancel()
            await self._close()
            reading.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> None:
        seat = self._seat
        while True:
            try:
                message = await self._socket.receive(seat.patience(time.monotonic()))
            except TimeoutError:
                seat.expire(time.monotonic())
                return
            if message.type is WSMsgType.TEXT:
                seat.say(message.data, time.monotonic())
            elif message.type is WSMsgType.BINARY:
                seat.end(UNSUPPORTED_DATA, "what is said in a room is text")
            else:
                return

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                for text in self._seat.take():
                    await self._socket.send_str(text)
                await self._awake.wait()
                self._awake.clear()

    async def _close(self) -> None:
        assert self._seat.ending
        code, reason = self._seat.ending
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._socket.close(code=code or 1000, message=close_reason(reason))
        except TimeoutError:
            if self._transport:
                self._transport.abort()
