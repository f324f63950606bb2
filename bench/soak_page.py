"""What a page does in a soak: everything at once, and whatever comes back is compared. Runs in Pyodide.

``begin`` starts it, ``told`` says how it goes, ``end`` stops it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from pynet_browser import http

PIECE = 64 * 1024
BULK = 4 << 20
MESSAGE = 32
PATIENCE = 60.0
UDP_TRIES = 8
VISITS = 12
TOLD = 20

Ports = dict[str, int]
Work = Callable[[str, Ports], Awaitable[None]]

POOL = random.Random(1).randbytes(1 << 20)

done: Counter[str] = Counter()
failures: list[str] = []
tasks: list[asyncio.Task[None]] = []
running = False


def some(size: int) -> bytes:
    """Bytes that are hardly sent twice."""
    at = random.randrange(len(POOL) - size)
    return POOL[at : at + size]


def check(ours: bytes, theirs: bytes, what: str) -> None:
    if ours != theirs:
        raise AssertionError(f"{what}: other bytes than were sent")


async def ping(host: str, ports: Ports) -> None:
    reader, writer = await asyncio.open_connection(host, ports["echo"])
    for _ in range(20):
        data = some(MESSAGE)
        writer.write(data)
        check(data, await reader.readexactly(MESSAGE), "ping")
        await asyncio.sleep(random.random() / 10)
    await gone(writer)


async def down(host: str, ports: Ports) -> None:
    reader, writer = await asyncio.open_connection(host, ports["source"])
    writer.write(BULK.to_bytes(8))
    left = BULK
    while left:
        data = await reader.read(PIECE)
        if not data:
            raise AssertionError(f"down: {left} bytes are missing")
        check(bytes(len(data)), data, "down")
        left -= len(data)
    await gone(writer)


async def up(host: str, ports: Ports) -> None:
    reader, writer = await asyncio.open_connection(host, ports["sink"])
    writer.write(BULK.to_bytes(8))
    for _ in range(0, BULK, PIECE):
        writer.write(some(PIECE))
        await writer.drain()
    check(b"!", await reader.readexactly(1), "up")
    await gone(writer)


async def echo(host: str, ports: Ports) -> None:
    reader, writer = await asyncio.open_connection(host, ports["echo"])
    for _ in range(8):
        data = some(PIECE * 2)
        writer.write(data)
        check(data, await reader.readexactly(len(data)), "echo")
    await gone(writer)


async def datagrams(host: str, ports: Ports) -> None:
    """Those that are lost are sent again, as with UDP anywhere."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.setblocking(False)
        connection.connect((host, ports["echo"]))
        data = some(MESSAGE)
        for _ in range(UDP_TRIES):
            with contextlib.suppress(TimeoutError):
                connection.send(data)
                back = await asyncio.wait_for(loop.sock_recv(connection, 2 * MESSAGE), 2)
                check(data, back, "datagram")
                return
        raise AssertionError(f"{UDP_TRIES} datagrams were lost one after the other")


async def listen(host: str, ports: Ports) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(1))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(host, ports["visitors"])
        writer.write(b"".join(number.to_bytes(8) for number in (port, VISITS, 4)))
        check(b"!", await reader.readexactly(1), "listen")
        await gone(writer)


async def fetch(host: str, ports: Ports) -> None:
    size = random.randrange(200_000)
    response = await http.fetch(f"http://{host}:{ports['web']}/{size}")
    check(bytes(size), await response.bytes(), "fetch")


async def look_up(_host: str, _ports: Ports) -> None:
    infos = await asyncio.get_running_loop().getaddrinfo("localhost", "http", type=socket.SOCK_STREAM)
    if not any(info[4][0] in ("127.0.0.1", "::1") for info in infos):
        raise AssertionError(f"look-up: {infos}")


async def refused(host: str, _ports: Ports) -> None:
    try:
        await asyncio.open_connection(host, 9)
    except ConnectionRefusedError:
        return
    raise AssertionError("port 9 has accepted")


async def gone(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


WORKS: list[Work] = [ping, ping, ping, down, up, echo, datagrams, listen, fetch, look_up, refused]


async def repeat(work: Work, host: str, ports: Ports) -> None:
    while running:
        try:
            await asyncio.wait_for(work(host, ports), PATIENCE)
            done[work.__name__] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            failures.append(f"{work.__name__}: {type(error).__name__}: {error}")
        await asyncio.sleep(random.random() / 2)


def begin(host: str, ports: Ports) -> None:
    global running
    running = True
    tasks.extend(asyncio.ensure_future(repeat(work, host, ports)) for work in WORKS)


def told() -> dict[str, Any]:
    """What was done, and what has failed since it was asked for last."""
    new, failures[:] = failures[:TOLD], []
    gc.collect()
    return {"done": dict(done), "failures": new, "objects": len(gc.get_objects())}


async def end() -> None:
    """Lets all finish what they are at."""
    global running
    running = False
    await asyncio.gather(*tasks)
    tasks.clear()


def blocking_round(host: str, ports: Ports, seconds: float) -> dict[str, Any]:
    """Blocking sockets, for so many seconds."""
    deadline, count = perf_counter() + seconds, 0
    with socket.create_connection((host, ports["echo"]), PATIENCE) as connection:
        while perf_counter() < deadline:
            data = some(PIECE // 4)
            connection.sendall(data)
            back = bytearray()
            while len(back) < len(data):
                back += connection.recv(PIECE)
            check(data, bytes(back), "blocking echo")
            count += 1
    with socket.create_connection((host, ports["source"]), PATIENCE) as connection:
        connection.sendall((PIECE * 4).to_bytes(8))
        left = PIECE * 4
        while left:
            left -= len(connection.recv(PIECE))
    return {"done": {"blocking": count}, "failures": [], "objects": len(gc.get_objects())}
