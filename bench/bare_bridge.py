"""The least that joins a page's WebSocket to TCP: ``ws://127.0.0.1:PORT/TARGET_PORT``, one connection each.

On the proxy's own stack (aiohttp, uvloop), without sessions, numbers, windows or a policy: what a raw
JavaScript WebSocket reaches through it is the physical limit the sockets are compared with.
Run as ``python bare_bridge.py PORT``. For measuring only: it lets anybody reach anything on loopback.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import WSMsgType, web

from bench.fast_loop import loop_factory

PIECE = 256 * 1024  # Chromium's WebSocket is fastest with messages from 64 to 256 KiB
MESSAGE_MAX = 16 << 20


async def bridge(request: web.Request) -> web.WebSocketResponse:
    page = web.WebSocketResponse(compress=False, max_msg_size=MESSAGE_MAX)
    await page.prepare(request)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(request.match_info["port"]), limit=PIECE)
    downward = asyncio.create_task(carry_down(reader, page))
    try:
        async for message in page:
            if message.type is WSMsgType.BINARY:
                writer.write(message.data)
                await writer.drain()
    finally:
        downward.cancel()
        writer.close()
    return page


async def carry_down(reader: asyncio.StreamReader, page: web.WebSocketResponse) -> None:
    while data := await reader.read(PIECE):
        await page.send_bytes(data)
    await page.close()


def main() -> None:
    app = web.Application()
    app.router.add_get(r"/{port:\d+}", bridge)
    loop = loop_factory()()
    web.run_app(
        app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=lambda *_: None, loop=loop
    )


if __name__ == "__main__":
    main()
