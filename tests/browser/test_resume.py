"""A cut between page and proxy is no more than a delay."""

from __future__ import annotations

import hashlib
import random

from tests.cuts import Cut
from tests.peers import Echo, HashAtEnd, Source, pattern
from tests.relay import Relay

SIZE = 12_000_000


def test_sockets_survive_cuts_in_the_middle_of_transfers(open_python, proxy, start_proxy):
    behind = start_proxy("--origin", proxy.url)
    chance = random.Random(1)
    cuts = [Cut(after=chance.randrange(20_000, 3_000_000)) for _ in range(12)]
    page = open_python(install=False)
    source = """
import asyncio, hashlib, socket
import pynet_browser
await pynet_browser.install(url, token=token)

async def download():
    digest = hashlib.sha256()
    with socket.create_connection(tuple(big), 60) as connection:
        while piece := connection.recv(100_000):
            digest.update(piece)
            await asyncio.sleep(0)
    return digest.hexdigest()

async def upload():
    with socket.create_connection(tuple(sink), 60) as connection:
        for start in range(0, size, 1_000_000):
            connection.sendall(data[start : start + 1_000_000])
            await asyncio.sleep(0)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(64, socket.MSG_WAITALL).decode()

async def converse():
    with socket.create_connection(tuple(echo), 60) as connection:
        for number in range(300):
            message = f"message {number}".encode()
            connection.sendall(message)
            assert connection.recv(100, socket.MSG_PEEK)
            answer = connection.recv(len(message), socket.MSG_WAITALL)
            assert answer == message
            await asyncio.sleep(0)
    return "done"

data = b"".join(number.to_bytes(4, "little") for number in range(size // 4))
results = await asyncio.gather(download(), upload(), converse())
[results, pynet_browser.status().reconnects]
"""
    with (
        Source(SIZE) as down,
        HashAtEnd() as up,
        Echo() as echo,
        Relay(behind.address, cuts) as relay,
    ):
        results, reconnects = page.run(
            source,
            timeout=100,
            url=f"ws://127.0.0.1:{relay.port}/pynet",
            token=behind.token,
            big=down.address,
            sink=up.address,
            echo=echo.address,
            size=SIZE,
        )
        count = relay.cuts
        page.close()
    digest = hashlib.sha256(pattern(SIZE)).hexdigest()
    assert results == [digest, digest, "done"]
    assert count >= 5
    assert reconnects == count
