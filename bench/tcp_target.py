"""The TCP services that every peer talks to, in a process of their own: faster than anything measured here.

Prints the port of each as one line of JSON, and serves until it is stopped:

- ``echo`` sends back what it receives;
- ``greeter`` sends one byte to whoever connects;
- ``source`` is sent a number (8 bytes, big-endian) and answers with so many bytes;
- ``sink`` is sent a number and then so many bytes, and confirms the last with one byte.
"""

from __future__ import annotations

import asyncio
import json
from typing import cast

from bench.fast_loop import loop_factory

NUMBER_SIZE = 8
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


async def serve() -> None:
    loop = asyncio.get_running_loop()
    services = {"echo": Echo, "greeter": Greeter, "source": Source, "sink": Sink}
    servers = {
        name: await loop.create_server(protocol, "127.0.0.1", 0, backlog=1024)
        for name, protocol in services.items()
    }
    print(json.dumps({name: server.sockets[0].getsockname()[1] for name, server in servers.items()}))
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve())
