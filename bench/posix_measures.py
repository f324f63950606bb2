"""What is measured of datagrams, listeners and asyncio, as a plain Python program does it."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import statistics
from time import perf_counter

from bench.socket_measures import BATCH, MESSAGE, Address, crowd, expected, median_time

PATIENCE = 1.0
"""Seconds after which a datagram is lost."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

held: list[Stream] = []
"""Connections that stay open."""


def datagram_ping(address: Address, count: int) -> float:
    """One round trip of a datagram of 32 bytes: the median."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.connect(address)

        def exchange() -> None:
            connection.send(MESSAGE)
            expected(len(connection.recv(len(MESSAGE))))

        return median_time(count, exchange)


def flood(address: Address, count: int, size: int, under_way: int) -> dict[str, float]:
    """Many datagrams out and, at the same time, back: seconds for all at the pace of those that came back."""
    data = bytes(size)
    sent = back = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(address)
        start = last = perf_counter()
        try:
            while back < count:
                while sent < count and sent - back < under_way:
                    sent += connection.send(data) // size
                back += connection.recv(size) == data
                last = perf_counter()
        except TimeoutError:  # the rest is lost
            if not back:
                raise
    return {"seconds": (last - start) * count / back, "lost": 100 * (sent - back) / sent}


def accept(address: Address, count: int, at_once: int) -> float:
    """Connections that come in, some at once, a byte each way: from the first to the last."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=at_once) as listener,
        socket.create_connection(address) as visitors,
    ):
        port = listener.getsockname()[1]
        visitors.sendall(b"".join(number.to_bytes(8) for number in (port, count, at_once)))
        start = perf_counter()
        for _ in range(count):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(connection.recv(1))
        expected(len(visitors.recv(1)))
        return perf_counter() - start


def dial(address: Address, count: int, at_once: int) -> float:
    """The other way round: connections that go out, some at once, each as in ``crowd``."""
    return sum(crowd(address, at_once) for _ in range(count // at_once))


def poll(address: Address, count: int, few: int) -> dict[str, float]:
    """One call of poll() for many sockets of which one is ready: the median; and for ``few``, in ms."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(address)) for _ in range(count)]
        sockets[0].sendall(MESSAGE)
        expected(len(sockets[0].recv(1)))  # the rest stays, so that it is ready
        times = []
        for number in (count, few):
            poller = select.poll()
            for connection in sockets[:number]:
                poller.register(connection, select.POLLIN)
            times.append(median_time(200, lambda poller=poller: expected(len(poller.poll()))))
    return {"seconds": times[0], "few": times[1] * 1000}


async def asyncio_ping(address: Address, count: int) -> float:
    """One round trip of 32 bytes by asyncio's streams: the median."""
    reader, writer = await asyncio.open_connection(*address)
    times = []
    for _ in range(count // BATCH):
        start = perf_counter()
        for _ in range(BATCH):
            writer.write(MESSAGE)
            await reader.readexactly(len(MESSAGE))
        times.append((perf_counter() - start) / BATCH)
    writer.close()
    return statistics.median(times)


async def downloads(address: Address, size: int, count: int) -> dict[str, float]:
    """Some downloads at once, so many bytes in all: seconds for all, and the worst against the mean."""
    times = await asyncio.gather(*(download(address, size // count) for _ in range(count)))
    return {"seconds": max(times), "worst": max(times) / statistics.mean(times)}


async def download(address: Address, size: int) -> float:
    reader, writer = await asyncio.open_connection(*address)
    start = perf_counter()
    writer.write(size.to_bytes(8))
    left = size
    while left:
        left -= expected(len(await reader.read(65536)))
    writer.close()
    return perf_counter() - start


async def streams(address: Address, count: int) -> float:
    """Many of asyncio's streams at once: connect all, send each its own message, check the echoes, close."""
    start = perf_counter()
    await hold(address, count)
    for _, writer in held:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in held))
    held.clear()
    return perf_counter() - start


async def hold(address: Address, count: int) -> None:
    """The same, but keep them open."""
    held.extend(await asyncio.gather(*(talk(address, number.to_bytes(8)) for number in range(count))))


async def talk(address: Address, message: bytes) -> Stream:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(message)
    if await reader.readexactly(len(message)) != message:
        raise ValueError("some sockets received what others were sent")
    return reader, writer
