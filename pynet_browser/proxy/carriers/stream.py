"""Streams: the answer of one request brings messages to the page for as long as it wants them there."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from pynet_browser.frames import Frame
from pynet_browser.proxy.app import SESSIONS
from pynet_browser.proxy.carriage import Ending
from pynet_browser.proxy.session import Session

__all__ = ["Downstream"]

END_TIMEOUT = 2.0
"""Seconds in which a page must have taken all when its session ends, or another WebSocket comes."""

RETIRE_TIMEOUT = 60.0
"""Seconds in which it must have taken that when it wants no more."""

HEADERS = {
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",  # what nginx heeds; others pass on what they have
}


class Downstream:
    """One streaming answer.

    Args:
        request: what it answers.
    """

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._traffic = request.app[SESSIONS].carried["stream"]
        self._awake = asyncio.Event()
        self._over = asyncio.Event()
        self._retired = False
        self._deadline: asyncio.TimerHandle | None = None

    # ── What a session asks of its carrier ─────────────────────────────────────────────────────────

    def wake(self) -> None:
        """There may be something to send. What is pushed in the same turn of the loop leaves together."""
        self._awake.set()

    def retire(self) -> None:
        """Take no more; what was taken still goes out, unless the page does not take it."""
        self._finish_within(RETIRE_TIMEOUT)

    async def end(self, _kind: Ending, _reason: str, _last: Frame | None = None) -> None:
        """Let the answer end. What there is to say of that is said on the WebSocket."""
        self._finish_within(END_TIMEOUT)
        await self._over.wait()

    def _finish_within(self, seconds: float) -> None:
        self._retired = True
        self._awake.set()
        if self._deadline:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._cut_off)

    def _cut_off(self) -> None:
        if self._request.transport:
            self._request.transport.abort()

    # ── The answer ─────────────────────────────────────────────────────────────────────────────────

    async def run(self, session: Session, number: int) -> web.StreamResponse:
        """Send what the session has for its page, until it is to be sent elsewhere."""
        response = web.StreamResponse(headers=HEADERS)
        response.content_type = "text/plain"
        whole = False
        session.carriage.stream(self, number)
        try:
            # A page that is gone is noticed when there is something to send.
            with contextlib.suppress(ConnectionError):
                await response.prepare(self._request)
                await response.write(self._request.app[SESSIONS].welcome(session))
                await self._write(session, response)
                await response.write_eof()
                whole = True
        finally:
            self._over.set()
            if self._deadline:
                self._deadline.cancel()
            session.carriage.finish_stream(self, lost=not whole)
        return response

    async def _write(self, session: Session, response: web.StreamResponse) -> None:
        while True:
            self._awake.clear()
            for message in session.carriage.take(self):
                await response.write(message)
                self._traffic.sent += len(message)
            if self._retired:
                return
            await self._awake.wait()
