"""The least that brings TCP to a page by a streaming answer: ``http://127.0.0.1:PORT/TARGET_PORT/SIZE``.

It asks the source at the target's port for so many bytes and passes them on, on the proxy's own stack
(aiohttp, uvloop): what JavaScript reads of that is the physical limit of a stream. Run as
``python bare_stream.py PORT``. For measuring only: it lets anybody reach anything on loopback.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

from bench.fast_loop import loop_factory

PIECE = 256 * 1024


async def stream(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"})
    answer.content_type = "text/plain"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(request.match_info["port"]), limit=PIECE)
    left = int(request.match_info["size"])
    writer.write(left.to_bytes(8))
    await answer.prepare(request)
    while left and (data := await reader.read(PIECE)):
        await answer.write(data)
        left -= len(data)
    writer.close()
    await answer.write_eof()
    return answer


def main() -> None:
    app = web.Application()
    app.router.add_get(r"/{port:\d+}/{size:\d+}", stream)
    loop = loop_factory()()
    web.run_app(
        app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=lambda *_: None, loop=loop
    )


if __name__ == "__main__":
    main()
