"""The services that every peer talks to, in a process of their own: faster than anything measured here.

Prints the port of each as one line of JSON, and serves until it is stopped:

- ``echo`` sends back what it receives, over TCP and, at the same port, over UDP;
- ``greeter`` sends one byte to whoever connects;
- ``source`` is sent a number (8 bytes, big-endian) and answers with so many bytes;
- ``sink`` is sent a number and then so many bytes, and confirms the last with one byte;
- ``visitors`` is sent three numbers: it makes so many connections to a port, some at once, and in each
  sends one byte and waits for another; then it sends one byte itself;
- ``web`` answers HTTP requests for ``/{size}`` with so many bytes, which every origin may read, and at
  ``/echo`` sends back the messages of a WebSocket.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import cast

from aiohttp import web

from bench.fast_loop import loop_factory

HOST = "127.0.0.1"
NUMBER_SIZE = 8
DATAGRAM_MAX = 65507
PIECE = bytes(1 << 20)


class Service(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)


class Echo(Service):
    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


class Greeter(Service):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.write(b"!")


class Source(Service):
    def __init__(self) -> None:
        self.wanted = b""
        self.left = 0
        self.paused = False

    def data_received(self, data: bytes) -> None:
        self.wanted += data
        if len(self.wanted) == NUMBER_SIZE:
            self.left = int.from_bytes(self.wanted)
            self.write_on()

    def write_on(self) -> None:
        while self.left and not self.paused:
            piece = memoryview(PIECE)[: self.left]
            self.left -= len(piece)
            self.transport.write(piece)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.write_on()


class Sink(asyncio.BufferedProtocol):
    def __init__(self) -> None:
        self.buffer = bytearray(PIECE)
        self.header = b""
        self.left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - asyncio calls it by position
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        missing = min(NUMBER_SIZE - len(self.header), nbytes)
        if missing:
            self.header += self.buffer[:missing]
            self.left = int.from_bytes(self.header)
        self.left -= nbytes - missing
        if self.left == 0 and len(self.header) == NUMBER_SIZE:
            self.transport.write(b"!")


async def receive_visitors(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    port, count, at_once = [int.from_bytes(await reader.readexactly(NUMBER_SIZE)) for _ in range(3)]

    async def visit() -> None:
        for _ in range(count // at_once):
            answer, question = await asyncio.open_connection(HOST, port)
            question.write(b"?")
            await answer.readexactly(1)
            question.close()

    await asyncio.gather(*(visit() for _ in range(at_once)))
    writer.write(b"!")
    writer.close()


def answer_datagrams(server: socket.socket) -> None:
    try:
        while True:
            server.sendto(*server.recvfrom(DATAGRAM_MAX))
    except BlockingIOError:
        return


async def answer_request(request: web.Request) -> web.Response:
    body = bytes(int(request.match_info["size"]))
    return web.Response(body=body, headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"})


async def echo_messages(request: web.Request) -> web.WebSocketResponse:
    connection = web.WebSocketResponse(compress=False)
    await connection.prepare(request)
    async for message in connection:
        await connection.send_bytes(message.data)
    return connection


async def start_echo() -> tuple[socket.socket, asyncio.Server]:
    """Both at one port, which somebody may have for the one and not for the other."""
    while True:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.setblocking(False)
        datagrams.bind((HOST, 0))
        try:
            server = await asyncio.get_running_loop().create_server(
                Echo, HOST, datagrams.getsockname()[1], backlog=1024
            )
        except OSError:
            datagrams.close()
        else:
            return datagrams, server


async def start_web() -> int:
    """Its port."""
    app = web.Application()
    app.add_routes([web.get(r"/{size:\d+}", answer_request), web.get("/echo", echo_messages)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    return cast(int, runner.addresses[0][1])


async def serve() -> None:
    loop = asyncio.get_running_loop()
    servers = {
        name: await loop.create_server(protocol, HOST, 0, backlog=1024)
        for name, protocol in {"greeter": Greeter, "source": Source, "sink": Sink}.items()
    }
    datagrams, servers["echo"] = await start_echo()
    with datagrams:
        loop.add_reader(datagrams, answer_datagrams, datagrams)
        servers["visitors"] = await asyncio.start_server(receive_visitors, HOST, 0)
        ports = {name: server.sockets[0].getsockname()[1] for name, server in servers.items()}
        ports["web"] = await start_web()
        print(json.dumps(ports))
        await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve())
