"""What is measured, as a plain Python program does it: in the page, on whatever sockets Python has there.

``raw_websocket.js`` is its twin. Every function returns seconds.
"""

from __future__ import annotations

import errno
import select
import socket
import statistics
from time import perf_counter

Address = tuple[str, int]

BATCH = 10
"""A page's clock is coarse (0.1 ms): short things are timed so many at a time."""

MESSAGE = bytes(range(32))


def receive(address: Address, size: int, piece: int) -> float:
    """From the request to the last byte, with ``recv(piece)``."""
    with socket.create_connection(address) as connection:
        start = perf_counter()
        connection.sendall(size.to_bytes(8))
        left = size
        while left:
            left -= expected(len(connection.recv(piece)))
        return perf_counter() - start


def fill(address: Address, size: int, buffer: int) -> float:
    """The same with ``recv_into`` a buffer of this size."""
    target = bytearray(buffer)
    with socket.create_connection(address) as connection:
        start = perf_counter()
        connection.sendall(size.to_bytes(8))
        left = size
        while left:
            left -= expected(connection.recv_into(target))
        return perf_counter() - start


def send(address: Address, size: int, piece: int) -> float:
    """From the first byte to the confirmation of the last, with ``sendall`` of pieces."""
    data = bytes(piece)
    with socket.create_connection(address) as connection:
        connection.sendall(size.to_bytes(8))
        start = perf_counter()
        for at in range(0, size, piece):
            connection.sendall(data[: size - at])
        expected(len(connection.recv(1)))
        return perf_counter() - start


def ping(address: Address, count: int) -> float:
    """One round trip of 32 bytes: the median."""
    with socket.create_connection(address) as connection:
        return median_time(count, lambda: exchange(connection, MESSAGE))


def connect(address: Address, count: int) -> float:
    """One connection until its first byte: the median."""

    def once() -> None:
        with socket.create_connection(address) as connection:
            expected(len(connection.recv(1)))

    return median_time(count, once)


def burst(address: Address, count: int) -> float:
    """Many small sends, until the last byte of their echo is back."""
    with socket.create_connection(address) as connection:
        start = perf_counter()
        for _ in range(count):
            connection.send(MESSAGE)
        left = count * len(MESSAGE)
        while left:
            left -= expected(len(connection.recv(65536)))
        return perf_counter() - start


def crowd(address: Address, count: int) -> float:
    """Many sockets open at once: connect all, send each its own message, check each echo."""
    start = perf_counter()
    sockets = {}
    for number in range(count):
        connection = socket.socket()
        connection.setblocking(False)
        if connection.connect_ex(address) not in (0, errno.EINPROGRESS):
            raise OSError(f"connection {number} failed")
        sockets[connection.fileno()] = connection
    messages = {fd: fd.to_bytes(8) for fd in sockets}
    wait_for_each(sockets, select.POLLOUT, lambda fd: sockets[fd].send(messages[fd]))
    echoes: dict[int, bytes] = {}
    wait_for_each(sockets, select.POLLIN, lambda fd: echoes.update({fd: sockets[fd].recv(100)}))
    for connection in sockets.values():
        connection.close()
    if echoes != messages:
        raise ValueError("some sockets received what others were sent")
    return perf_counter() - start


def wait_for_each(sockets, events, act) -> None:
    poller = select.poll()
    for fd in sockets:
        poller.register(fd, events)
    left = set(sockets)
    while left:
        for fd, _ in poller.poll():
            act(fd)
            poller.unregister(fd)
            left.remove(fd)


def exchange(connection: socket.socket, message: bytes) -> None:
    connection.sendall(message)
    left = len(message)
    while left:
        left -= expected(len(connection.recv(left)))


def expected(count: int) -> int:
    if count == 0:
        raise ConnectionError("the peer closed too early")
    return count


def median_time(count: int, act) -> float:
    times = []
    for _ in range(count // BATCH):
        start = perf_counter()
        for _ in range(BATCH):
            act()
        times.append((perf_counter() - start) / BATCH)
    return statistics.median(times)
