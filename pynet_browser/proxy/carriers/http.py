"""Requests over HTTP: exchanges, whose answer takes along what there is for the page, and streams."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

from aiohttp import web

from pynet_browser.errors import ProtocolError
from pynet_browser.frames import Frame, Goaway, Hello, Poll, Refused, Stream
from pynet_browser.proxy.app import CONFIG, SESSIONS
from pynet_browser.proxy.carriage import Ending
from pynet_browser.proxy.carriers.incoming import GREETING_MAX, first_frames, take_in
from pynet_browser.proxy.carriers.stream import Downstream
from pynet_browser.proxy.door import GreetingError, Visitor
from pynet_browser.proxy.session import Session
from pynet_browser.wire import MESSAGE_HEADER, Message, MessageReader, encode_frame, encode_message

__all__ = ["handle"]

BODY_MAX = 1 << 20
"""Most bytes of a request behind its greeting, beside one message of the largest size."""

ANSWER_MAX = 8 << 20
"""Most bytes of messages in an answer, whatever ``limit`` says; a last one may go beyond."""

WAIT_MAX = 25.0
"""Seconds that an answer is held back at most: below the half minute after which many relays give up."""

TRANSFER_TIMEOUT = 60.0
"""Seconds in which a request must have come whole, and in which its answer must have been taken."""

AT_ONCE_MAX = 8
"""Exchanges of one session under way at once: one waits, and browsers make no more than six to a host."""

GONE_CHECK = 0.5
"""Seconds after which a page that has given up waiting is noticed: aiohttp tells nobody."""

END_TIMEOUT = 2.0
"""Seconds in which an answer must have been taken when its session ends."""


async def handle(request: web.Request) -> web.StreamResponse:
    """Serve one request: greet, and then do what stands behind the greeting."""
    config, sessions = request.app[CONFIG], request.app[SESSIONS]
    visitor = Visitor.of(request)
    exchange = Exchange(request, config.limits.message_bytes)
    try:
        sessions.door.check_origin(visitor)
        with sessions.unauthenticated(visitor):
            hello, purpose = await exchange.greeted(config.auth_timeout)
            if isinstance(purpose, Stream) and not hello.session:
                raise GreetingError("session", "a stream carries a session that is there already")
            session = sessions.admit(hello, visitor)
        if isinstance(purpose, Poll) and session.carriage.exchanges >= AT_ONCE_MAX:
            raise GreetingError("busy", f"{AT_ONCE_MAX} exchanges of the session are under way; try again")
        if isinstance(purpose, Stream) and not session.carriage.may_stream(purpose.number):
            raise GreetingError("busy", "the session has no WebSocket, or does not want the stream any more")
    except GreetingError as error:
        return await exchange.answer(403, [_message(Refused(0, error.code, error.message))])
    except ProtocolError as error:
        sessions.door.refused(GreetingError("greeting", str(error)), visitor)
        return await exchange.answer(400, [_message(Goaway(0, "protocol", str(error)))])
    except (ConnectionError, web.RequestPayloadError):
        return web.Response(status=400)
    if isinstance(purpose, Stream):
        return await Downstream(request).run(session, purpose.number)
    limit = min(purpose.limit, ANSWER_MAX)
    session.carriage.begin(exchange, limit)
    try:
        return await exchange.run(session, min(purpose.wait / 1000, WAIT_MAX), limit)
    finally:
        exchange.finish(session)


class Exchange:
    """One request and its answer.

    Args:
        request: it.
        message_max: most bytes of frames in one message.
    """

    def __init__(self, request: web.Request, message_max: int) -> None:
        self._request = request
        self._message_max = message_max
        self._traffic = request.app[SESSIONS].carried["http"]
        self._awake = asyncio.Event()
        self._over = asyncio.Event()
        self._answered = False
        self._last: Frame | None = None

    # ── What a session asks of its carrier ─────────────────────────────────────────────────────────

    def wake(self) -> None:
        """The answer may be due. What is pushed in the same turn of the loop is in it."""
        self._awake.set()

    def end(self, kind: Ending, _reason: str, last: Frame | None = None) -> Coroutine[Any, Any, None]:
        """Let the answer be sent; to be awaited until it was."""
        if kind != "replaced":
            self._last = last or Goaway(0, "shutdown", "the session has ended")
        self._awake.set()
        return self._ended()

    async def _ended(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_TIMEOUT):
                await self._over.wait()

    # ── The request ────────────────────────────────────────────────────────────────────────────────

    async def greeted(self, timeout: float) -> tuple[Hello, Poll | Stream]:
        """Wait for the first message: a greeting, and what the request is for.

        Raises:
            ProtocolError: it is no greeting, too long, or does not come within ``timeout`` seconds.
        """
        match await first_frames(self._request.content, GREETING_MAX, timeout):
            case [Hello() as hello, Poll() | Stream() as purpose]:
                return hello, purpose
            case _:
                raise ProtocolError("the first message is no greeting")

    async def _messages(self) -> AsyncIterator[Message]:
        reader = MessageReader(self._message_max)
        left = BODY_MAX + MESSAGE_HEADER.size + self._message_max
        while piece := await self._request.content.readany():
            self._traffic.received += len(piece)
            left -= len(piece)
            if left < 0:
                raise ProtocolError(f"the request has more than {BODY_MAX} bytes of messages")
            for message in reader.feed(piece):
                yield message
        if reader.held:
            raise ProtocolError("the request ends within a message")

    # ── From the request to its answer ─────────────────────────────────────────────────────────────

    async def run(self, session: Session, wait: float, limit: int) -> web.StreamResponse:
        """Take in what the request brings, and answer when that is due."""
        try:
            async with asyncio.timeout(TRANSFER_TIMEOUT):
                answers = [answer async for each in self._messages() for answer in take_in(each, session)]
        except ProtocolError as error:
            if self._last is None:
                session.end(Goaway(0, "protocol", str(error)))
                return await self.answer(400, [_message(Goaway(0, "protocol", str(error)))])
            answers = []  # it had ended before this came
        except TimeoutError:
            self._cut_off()
            return web.Response(status=408)
        except (ConnectionError, web.RequestPayloadError):
            return web.Response(status=400)
        except Exception:
            session.end(Goaway(0, "internal", "the proxy failed; its log says more"))
            raise
        if limit:
            await self._hold(session, wait)
        if self._gone:
            return web.Response()
        messages = session.carriage.answer(self, limit)
        last = [_message(self._last)] if self._last else []
        welcome = self._request.app[SESSIONS].welcome(session)
        size = sum(map(len, messages))
        session.hold(size)  # in the answer once more, until the page takes it
        try:
            return await self.answer(200, [welcome, *answers, *messages, *last])
        finally:
            session.released(size)

    async def _hold(self, session: Session, wait: float) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + wait
        while not (session.carriage.due(self) or self._last or self._gone) and (left := until - clock()) > 0:
            self._awake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, GONE_CHECK)):
                    await self._awake.wait()

    @property
    def _gone(self) -> bool:
        transport = self._request.transport
        return transport is None or transport.is_closing()

    def finish(self, session: Session) -> None:
        """Nothing comes after this."""
        session.carriage.finish(self, answered=self._answered)
        self._over.set()

    # ── The answer ─────────────────────────────────────────────────────────────────────────────────

    async def answer(self, status: int, messages: Sequence[bytes]) -> web.StreamResponse:
        """Send the answer; a page that does not take it is cut off."""
        response = web.Response(
            status=status,
            body=b"".join(messages),
            content_type="text/plain",
            headers={"Cache-Control": "no-store"},
        )
        try:
            async with asyncio.timeout(TRANSFER_TIMEOUT):
                await response.prepare(self._request)
                await response.write_eof()
            self._traffic.sent += sum(map(len, messages))
            self._answered = True
        except TimeoutError:
            self._cut_off()
        except ConnectionError:
            pass  # the page is gone, or its connection is
        return response

    def _cut_off(self) -> None:
        if self._request.transport:
            self._request.transport.abort()


def _message(frame: Frame) -> bytes:
    return encode_message(0, 0, [encode_frame(frame)])
