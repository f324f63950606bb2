"""A carrier over aiohttp's WebSocket: reads, writes, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import time

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web

from pynet_browser.errors import ProtocolError
from pynet_browser.frames import Frame, Goaway, Hello, Refused
from pynet_browser.proxy.app import CONFIG, SESSIONS
from pynet_browser.proxy.carriage import Ending
from pynet_browser.proxy.carriers.incoming import GREETING_MAX, take_in
from pynet_browser.proxy.door import GreetingError, Visitor
from pynet_browser.proxy.endpoint import Traffic
from pynet_browser.proxy.session import Session
from pynet_browser.proxy.websockets import CLOSE_TIMEOUT, close_reason, stop_heartbeat
from pynet_browser.wire import MESSAGE_HEADER, MessageReader, encode_frame, encode_message, frames_of

__all__ = ["SUBPROTOCOL", "handle"]

SUBPROTOCOL = "pynet.v1"

LEAVING = {WSCloseCode.OK, WSCloseCode.GOING_AWAY}
"""With these a page says that it is done, or a browser that the page was left (RFC 6455 §7.4.1)."""

CLOSE_CODES: dict[Ending, int] = {"refused": 4403, "protocol": 4400, "ended": 1001, "replaced": 4409}
"""Codes of the private range (RFC 6455 §7.4.2), after the HTTP codes of like meaning."""


async def handle(request: web.Request) -> web.StreamResponse:
    """Serve one WebSocket: greet, then move messages until it closes."""
    config, sessions = request.app[CONFIG], request.app[SESSIONS]
    # The browser answers a WebSocket's pings even while the page computes, so a heartbeat of WebSocket's own
    # tells a page that is busy from one that is gone.
    socket = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,),
        compress=False,
        heartbeat=config.keepalive,
        max_msg_size=config.limits.message_bytes + MESSAGE_HEADER.size + 1,
    )
    await socket.prepare(request)
    visitor = Visitor.of(request)
    traffic = sessions.carried["websocket"]
    carrier = WebSocketCarrier(socket, request.transport, config.limits.message_bytes, traffic)
    try:
        sessions.door.check_origin(visitor)
        with sessions.unauthenticated(visitor):
            hello = await carrier.greeted(config.auth_timeout)
            session = sessions.admit(hello, visitor)
        session.carriage.attach(carrier, sessions.welcome(session))
    except GreetingError as error:
        await carrier.end("refused", error.message, Refused(0, error.code, error.message))
    except ProtocolError as error:
        sessions.door.refused(GreetingError("greeting", str(error)), visitor)
        await carrier.end("protocol", str(error))
    else:
        await carrier.run(session)
    finally:
        stop_heartbeat(socket)
    return socket


class WebSocketCarrier:
    """One WebSocket of one session.

    Args:
        socket: it, after its handshake.
        transport: the connection under it.
        message_max: most bytes of frames in one message.
        traffic: what all of them have carried.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        message_max: int,
        traffic: Traffic,
    ) -> None:
        self._traffic = traffic
        self._socket = socket
        self._transport = transport
        self._reader = MessageReader(message_max)
        self._awake = asyncio.Event()

    # ── What a session asks of its carrier ─────────────────────────────────────────────────────────

    def wake(self) -> None:
        """There may be something to send. What is pushed in the same turn of the loop leaves together."""
        self._awake.set()

    async def end(self, kind: Ending, reason: str, last: Frame | None = None) -> None:
        """Close the WebSocket; a peer that does not take its part in that is cut off."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                if last:
                    await self._send(encode_message(0, 0, [encode_frame(last)]))
                await self._socket.close(code=CLOSE_CODES[kind], message=close_reason(reason))
        except TimeoutError:
            if self._transport:
                self._transport.abort()

    # ── Reading ────────────────────────────────────────────────────────────────────────────────────

    async def greeted(self, timeout: float) -> Hello:
        """Wait for the first message.

        Raises:
            ProtocolError: it is no greeting, too long, or does not come within ``timeout`` seconds.
        """
        try:
            message = await self._socket.receive(timeout)
        except TimeoutError as error:
            raise ProtocolError(f"no greeting within {timeout:g} s") from error
        if message.type is not WSMsgType.BINARY or len(message.data) > GREETING_MAX:
            raise ProtocolError("the first message is no greeting")
        match [(each.number, *frames_of(each.body)) for each in self._reader.feed(message.data)]:
            case [(0, Hello() as hello)]:
                return hello
            case _:
                raise ProtocolError("the first message is no greeting")

    async def run(self, session: Session) -> None:
        """Move messages both ways until the WebSocket closes."""
        writer = asyncio.create_task(self._write(session))
        self.wake()
        try:
            await self._read(session)
        except ProtocolError as error:
            session.end(Goaway(0, "protocol", str(error)))
            await session.carriage.ended()
            await self.end("protocol", str(error))  # if it was not the one in use
        except Exception:
            # What was understood of the message, and what was not, is not known.
            session.end(Goaway(0, "internal", "the proxy failed; its log says more"))
            await session.carriage.ended()
            raise
        finally:
            writer.cancel()
            session.carriage.detach(self)

    async def _read(self, session: Session) -> None:
        welcomed: float | None = time.monotonic()
        while True:
            message = await self._socket.receive()
            if welcomed is not None:  # a page says nothing before it is, and then asks how long that takes
                session.measured(time.monotonic() - welcomed)
                welcomed = None
            match message.type:
                case WSMsgType.CLOSE:
                    if message.data in LEAVING and session.carriage.uses(self):
                        session.end()
                    return
                case WSMsgType.CLOSING | WSMsgType.CLOSED:
                    return
                case WSMsgType.ERROR if not isinstance(message.data, WebSocketError):
                    return  # the connection failed, and the page may come back on another
                case WSMsgType.BINARY:
                    self._traffic.received += len(message.data)
                    for each in self._reader.feed(message.data):
                        for answer in take_in(each, session):
                            await self._send(answer)
                    session.carriage.heard(self)
                case _:
                    raise ProtocolError(f"the WebSocket brought no binary message: {message.data}")

    # ── Writing ────────────────────────────────────────────────────────────────────────────────────

    async def _write(self, session: Session) -> None:
        """Send what the session has for this carrier, whenever it has something."""
        with contextlib.suppress(ConnectionError):
            while True:
                await self._awake.wait()
                self._awake.clear()
                for message in session.carriage.take(self):
                    await self._socket.send_bytes(message)
                    self._traffic.sent += len(message)

    async def _send(self, message: bytes) -> None:
        """Send a message about the session or the carrier, not numbered."""
        with contextlib.suppress(ConnectionError):
            await self._socket.send_bytes(message)
