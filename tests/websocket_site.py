"""A real WebSocket server, in a thread of this process."""

from __future__ import annotations

import asyncio
import threading
from http import HTTPStatus
from queue import Queue
from typing import Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response


class WebSocketSite:
    """The paths:

    ``/echo``          every message comes back
    ``/count/N``       N messages, their numbers as text
    ``/close/CODE``    closes with this code, and "as asked"
    ``/break``         breaks the connection after a message
    ``/fast/N``        N messages of 64 KiB, as fast as they are taken; ``sent`` counts them
    ``/refuse``        no handshake

    Attributes:
        sent: messages that went out on ``/fast``.
        closed: codes and reasons with which clients have closed ``/echo``, when the server knows of it.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.closed: Queue[tuple[int | None, str | None]] = Queue()
        self.host, self.port = "127.0.0.1", 0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))

    @property
    def url(self) -> str:
        return f"ws://{self.host}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server: Server
        async with serve(
            self._talk,
            self.host,
            0,
            select_subprotocol=lambda _, offered: next((each for each in offered if "chat" in each), None),
            process_request=self._refuse,
            max_size=None,
            compression=None,
        ) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            self._started.set()
            await self._stop.wait()

    def _refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        return connection.respond(HTTPStatus.FORBIDDEN, "no\n") if request.path == "/refuse" else None

    async def _talk(self, connection: ServerConnection) -> None:
        assert connection.request
        match connection.request.path.split("/")[1:]:
            case ["count", number]:
                for each in range(int(number)):
                    await connection.send(str(each))
            case ["close", code]:
                await connection.close(int(code), "as asked")
            case ["break"]:
                await connection.recv()
                connection.transport.abort()
            case ["fast", number]:
                for _ in range(int(number)):
                    await connection.send(bytes(65536))
                    self.sent += 1
            case _:
                try:
                    async for message in connection:
                        await connection.send(message)
                except ConnectionClosed:
                    pass
                self.closed.put((connection.close_code, connection.close_reason))
