"""A page to which WebSockets are closed: its session goes over HTTP alone."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp

from pynet_browser.frames import Goaway
from tests.proxy.client import Page, SessionOverError
from tests.proxy.exchanges import ANSWER_MAX, Exchanges, message

__all__ = ["PollingPage"]

BODY_MAX = 1 << 20
"""Bytes of messages in a request, beside one that is larger alone."""

WAIT = 25.0
"""Seconds that an answer may be held back."""


class PollingPage(Page):
    """A page that has one exchange under way for what comes, and makes others for what it sends."""

    _http: Exchanges | None = None

    async def open(self) -> None:
        """Begin with exchanges, or begin again when they were lost.

        Raises:
            RefusedError: the proxy does not let the page in, or has forgotten the session.
        """
        await self._stop()
        replay = self.link.replay_limit
        self._http = Exchanges(self._url, self._token, origin=self._origin, window=self.window, replay=replay)
        self._http.name, self._http.key = self.name, self.key
        await self._http.__aenter__()
        await self._exchange(limit=0)
        self._tasks = [asyncio.create_task(self._poll()), asyncio.create_task(self._bring())]

    def cut(self) -> None:
        """Break the exchanges off, with what is under way."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """End the session and say so."""
        if self.over is None and self.name:
            with contextlib.suppress(aiohttp.ClientError):
                await self._exchange(message(Goaway(0, "shutdown", "the page is done")), limit=0)
        await self._stop()
        self._end(SessionOverError("shutdown", "the page is done"))

    async def _stop(self) -> None:
        await super()._stop()
        if self._http:
            await self._http.client.close()

    async def _exchange(self, *messages: bytes, wait: float = 0.0, limit: int = ANSWER_MAX) -> None:
        assert self._http
        self._http.seen = self.link.received
        answer = await self._http.make(*messages, wait=wait, limit=limit)
        self.welcome = answer.welcome
        self.name, self.key = self.welcome.session, self.welcome.key
        self.link.peer_replay = self.welcome.replay
        self.acknowledged(self.welcome.seen)
        for each in answer.messages[1:]:
            self.take_in(each)

    async def _poll(self) -> None:
        with contextlib.suppress(aiohttp.ClientError):
            while self.over is None:
                await self._exchange(wait=WAIT)

    async def _bring(self) -> None:
        with contextlib.suppress(aiohttp.ClientError):
            while True:
                while not self.link.all_acknowledged:
                    await self._exchange(*self.link.outstanding(BODY_MAX), limit=0)
                self._awake.clear()
                await self._awake.wait()
