"""Requests that came to one worker and belong to another: browsers use a connection again for other pages."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from pynet_browser.proxy.workers.merging import merged
from pynet_browser.proxy.workers.placement import key_of, worker_of

__all__ = ["Neighbours"]

REMOTE = "X-Pynet-Remote"
"""The client's address, from one worker to another; believed from them alone."""

HOP_BY_HOP = ("Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Expect", REMOTE)
"""Headers of one connection, not of the request (RFC 9110, section 7.6.1), and those that are made anew."""

ANSWER_MAX = 2.0
"""Seconds that another worker may take to tell its metrics."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
AnySocket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


class Neighbours:
    """The workers of one proxy, as one of them sees them; for the running event loop.

    Args:
        number: of this worker.
        count: how many there are.
        directory: where they have their sockets.
        message_bytes: the largest message of a WebSocket.
    """

    def __init__(self, number: int, count: int, directory: Path, message_bytes: int) -> None:
        self._number = number
        self._count = count
        self._directory = directory
        self._message_bytes = message_bytes
        self._clients: dict[int, aiohttp.ClientSession] = {}

    def path_of(self, number: int) -> Path:
        """Where a worker takes what others have for it."""
        return self._directory / str(number)

    async def close(self, _app: web.Application) -> None:
        """Ask nobody any more."""
        for client in self._clients.values():
            await client.close()

    @web.middleware
    async def relay(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Have each request answered by the worker that it belongs to."""
        transport = request.transport
        connection = transport.get_extra_info("socket") if transport else None
        if connection is not None and connection.family == socket.AF_UNIX:
            return await handler(request.clone(remote=request.headers.get(REMOTE, "")))
        if request.path == "/metrics" and request.method == "GET":
            return await self._sum(request, await handler(request))
        key = key_of(request.raw_path)
        if key is None or (number := worker_of(key, self._count)) == self._number:
            return await handler(request)
        client = self._clients.get(number) or self._open(number)
        try:
            if web.WebSocketResponse().can_prepare(request):
                return await self._relay_socket(request, client)
            return await _relay_request(request, client)
        except aiohttp.WSServerHandshakeError as error:
            return web.Response(status=error.status, text="the process that this belongs to said no")
        except (aiohttp.ClientError, ConnectionError) as error:
            raise web.HTTPServiceUnavailable(
                text="the process that this belongs to does not answer; try again",
                headers={"Retry-After": "1"},
            ) from error

    def _open(self, number: int) -> aiohttp.ClientSession:
        client = self._clients[number] = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(self.path_of(number)), limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return client

    async def _sum(self, request: web.Request, own: web.StreamResponse) -> web.StreamResponse:
        """The metrics of all workers; one that does not answer is left out."""
        if not isinstance(own, web.Response) or own.status != HTTPStatus.OK:
            return own
        others = [number for number in range(self._count) if number != self._number]
        texts = await asyncio.gather(*(self._ask(request, number) for number in others))
        own.text = merged([own.text or "", *filter(None, texts)])
        return own

    async def _ask(self, request: web.Request, number: int) -> str | None:
        client = self._clients.get(number) or self._open(number)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with (
                asyncio.timeout(ANSWER_MAX),
                client.get(_url(request), headers=_forwarded(request)) as answer,
            ):
                return await answer.text() if answer.status == HTTPStatus.OK else None
        return None

    async def _relay_socket(
        self, request: web.Request, client: aiohttp.ClientSession
    ) -> web.WebSocketResponse:
        headers = _forwarded(request)
        for name in [name for name in headers if name.lower().startswith("sec-websocket-")]:
            headers.popall(name, None)
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        protocols = [each.strip() for each in offered.split(",") if each.strip()]
        async with client.ws_connect(
            _url(request), headers=headers, protocols=protocols, autoping=False, autoclose=False,
            max_msg_size=self._message_bytes,
        ) as there:  # fmt: skip
            here = web.WebSocketResponse(
                protocols=[there.protocol] if there.protocol else (), autoping=False, autoclose=False,
                max_msg_size=self._message_bytes, compress=False,
            )  # fmt: skip
            await here.prepare(request)
            pumps = [asyncio.create_task(_pump(here, there)), asyncio.create_task(_pump(there, here))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                ends = await asyncio.gather(*pumps, return_exceptions=True)
                match [end for end in ends if isinstance(end, tuple)]:
                    case [(code, reason), *_]:
                        await there.close(code=code, message=reason)
                        await here.close(code=code, message=reason)
                    case _ if request.transport is not None:  # who is gone has said no goodbye
                        request.transport.abort()
        return here


async def _relay_request(request: web.Request, client: aiohttp.ClientSession) -> web.StreamResponse:
    body = request.content if request.body_exists else None
    async with client.request(
        request.method, _url(request), headers=_forwarded(request), data=body, allow_redirects=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    ) as answer:  # fmt: skip
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        response.headers.extend(_without(answer.headers, (*HOP_BY_HOP, "Vary")))
        await response.prepare(request)
        try:
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
        except (aiohttp.ClientError, ConnectionError):
            # Too late for an answer of our own: only a cut shows that this one is not whole.
            if request.transport is not None:
                request.transport.abort()
        return response


async def _pump(source: AnySocket, sink: AnySocket) -> tuple[int, bytes] | None:
    """Pass on what one side sends, no faster than the other takes it; returns its code and reason to end.

    None stands for an end without any.
    """
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        while True:
            match await source.receive():
                case aiohttp.WSMessage(type=aiohttp.WSMsgType.BINARY, data=data):
                    await sink.send_bytes(data)
                case aiohttp.WSMessage(type=aiohttp.WSMsgType.TEXT, data=data):
                    await sink.send_str(data)
                case aiohttp.WSMessage(type=aiohttp.WSMsgType.PING, data=data):
                    await sink.ping(data)
                case aiohttp.WSMessage(type=aiohttp.WSMsgType.PONG, data=data):
                    await sink.pong(data)
                case aiohttp.WSMessage(type=aiohttp.WSMsgType.CLOSE, data=code, extra=reason):
                    return code or 1000, (reason or "").encode()
                case _:
                    return None
    return None


def _url(request: web.Request) -> URL:
    return URL.build(scheme="http", authority="localhost").join(URL(request.raw_path, encoded=True))


def _forwarded(request: web.Request) -> CIMultiDict[str]:
    headers = _without(request.headers, HOP_BY_HOP)
    headers[REMOTE] = request.remote or ""
    return headers


def _without(headers: Mapping[str, str], names: tuple[str, ...]) -> CIMultiDict[str]:
    kept = CIMultiDict(headers)
    for name in names:
        kept.popall(name, None)
    return kept
