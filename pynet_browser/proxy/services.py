"""Servers for the demo page to talk to, so that it shows something with no other server and no internet.

They listen on loopback, on ports the system chooses: an echo, one for UDP, a clock, and a small web site.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeAlias

from aiohttp import web

__all__ = ["ServiceAddresses", "running_services"]

ServiceAddresses: TypeAlias = dict[str, tuple[str, int]]
"""Host and port of each service, by name: ``echo``, ``udp_echo``, ``clock``, ``http``."""

HOST = "127.0.0.1"
CHUNK = 1 << 16
DATAGRAM_MAX = 1 << 16
DOWNLOAD_MAX = 1 << 30

PATTERN = bytes(range(251)) * (-(-CHUNK // 251) + 1)
"""Byte ``n`` of a download is ``n % 251``: a prime, so that a lost or repeated block shows."""

INDEX = """<!doctype html>
<meta charset="utf-8">
<title>A small web site</title>
<h1>Hello from the proxy's host</h1>
<p>Your Python in the browser fetched this.
<ul>
<li><a href="/json">/json</a>: what this server saw of the request
<li><a href="/bytes/1000000">/bytes/N</a>: N bytes to download; byte n is n % 251
</ul>
"""

_Handler: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def running_services() -> AsyncIterator[ServiceAddresses]:
    """Runs the services; at the end of the block their connections are cut."""
    async with contextlib.AsyncExitStack() as stack:
        yield {
            "echo": await stack.enter_async_context(_stream_server(_echo)),
            "udp_echo": await stack.enter_async_context(_udp_echo()),
            "clock": await stack.enter_async_context(_stream_server(_clock)),
            "http": await stack.enter_async_context(_site_server()),
        }


@contextlib.asynccontextmanager
async def _stream_server(handler: _Handler) -> AsyncIterator[tuple[str, int]]:
    """A TCP server; yields its address."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        # A peer that goes away has seen enough; cancelled, the proxy is stopping.
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield HOST, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
        await server.wait_closed()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends back what it gets, no faster than it is taken; a half-closed connection gets its rest."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


@contextlib.asynccontextmanager
async def _udp_echo() -> AsyncIterator[tuple[str, int]]:
    """Sends each datagram back to where it came from; yields its address."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setblocking(False)
        server.bind((HOST, 0))

        def answer() -> None:
            with contextlib.suppress(BlockingIOError):  # what the system does not take at once is lost
                server.sendto(*server.recvfrom(DATAGRAM_MAX))

        loop.add_reader(server, answer)
        try:
            yield HOST, server.getsockname()[1]
        finally:
            loop.remove_reader(server)


async def _clock(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends a line with the time every second until the client closes."""
    closed = asyncio.ensure_future(_drained(reader))
    try:
        while not closed.done():
            writer.write(datetime.now(UTC).isoformat(timespec="milliseconds").encode() + b"\n")
            await writer.drain()
            await asyncio.wait([closed], timeout=1)
    finally:
        closed.cancel()


async def _drained(reader: asyncio.StreamReader) -> None:
    """Returns when the peer has closed; what it sends until then is thrown away."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(CHUNK):
            pass


@contextlib.asynccontextmanager
async def _site_server() -> AsyncIterator[tuple[str, int]]:
    """The web site; yields its address."""
    app = web.Application()
    app.router.add_get("/", _index)
    app.router.add_get("/json", _json)
    app.router.add_get(r"/bytes/{count:\d{1,10}}", _download)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    listener = socket.create_server((HOST, 0))
    try:
        await web.SockSite(runner, listener).start()
        yield HOST, listener.getsockname()[1]
    finally:
        await runner.cleanup()


async def _index(_request: web.Request) -> web.Response:
    return web.Response(text=INDEX, content_type="text/html")


async def _json(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "method": request.method,
            "path": request.path,
            "query": dict(request.query),
            "headers": dict(request.headers),
            "peer": request.remote,
            "time": datetime.now(UTC).isoformat(),
        }
    )


async def _download(request: web.Request) -> web.StreamResponse:
    count = int(request.match_info["count"])
    if count > DOWNLOAD_MAX:
        raise web.HTTPBadRequest(text=f"at most {DOWNLOAD_MAX} bytes at a time")
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.content_length = count
    await response.prepare(request)
    for start in range(0, count, CHUNK):
        offset = start % 251
        await response.write(PATTERN[offset : offset + min(CHUNK, count - start)])
    await response.write_eof()
    return response
