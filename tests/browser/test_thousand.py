from __future__ import annotations

import hashlib
import random
import time
from dataclasses import replace

from tests.cuts import HANDSHAKE, Cut
from tests.peers import Exchange, pattern
from tests.relay import Relay

SOCKETS = 20
SIZE = (64 << 20) // SOCKETS & ~3
import os
CUTS=int(os.environ.get("CUTS","100")); MEAN=int(os.environ.get("MEAN","100000"))

SOURCE = """
import asyncio, hashlib, socket, sys
from array import array
import pynet_browser
await pynet_browser.install(url, token=token)

PIECE = 100_000

def pattern(number):
    return array("I", range(number * size // 4, (number + 1) * size // 4)).tobytes()

class Blocking:
    # Calls that wait, each in a task of its own.
    def __init__(self, connection):
        self.connection = connection
    @classmethod
    async def open(cls):
        return cls(socket.create_connection(tuple(peer), 100))
    async def send(self, data):
        self.connection.sendall(data)
        await asyncio.sleep(0)
    async def finish(self):
        self.connection.shutdown(socket.SHUT_WR)
    async def receive(self, limit):
        await asyncio.sleep(0)
        return self.connection.recv(limit)
    async def close(self):
        self.connection.close()

class Streams:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
    @classmethod
    async def open(cls):
        return cls(*await asyncio.open_connection(*peer))
    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()
    async def finish(self):
        self.writer.write_eof()
    async def receive(self, limit):
        return await self.reader.read(limit)
    async def close(self):
        self.writer.close()
        await self.writer.wait_closed()

async def exchange(number):
    connection = await (Blocking, Streams)[number % 2].open()
    await connection.send(number.to_bytes(4, "little"))
    async def send():
        data = pattern(sockets + number)
        for at in range(0, size, PIECE):
            await connection.send(data[at : at + PIECE])
        await connection.finish()
    sending = asyncio.create_task(send())
    digest, left = hashlib.sha256(), size
    while left:
        piece = await connection.receive(min(left, PIECE))
        assert piece, left
        digest.update(piece)
        left -= len(piece)
    answer = b""
    while piece := await connection.receive(1000):
        answer += piece
    await sending
    await connection.close()
    return [digest.hexdigest(), answer.decode()]

held = 0
async def sample():
    global held
    while True:
        held = max(held, pynet_browser.status().buffered)
        await asyncio.sleep(0.01)

sampling = asyncio.create_task(sample())
results = await asyncio.gather(*map(exchange, range(sockets)))
sampling.cancel()
status = pynet_browser.status()
[results, held, status.reconnects, status.carrier]
"""


def test_a_thousand_cuts(open_python, proxy, start_proxy):
    behind = start_proxy("--origin", proxy.url)
    chance = random.Random(1)
    def cut():
        if chance.random() < 0.1:
            return replace(chance.choice(list(HANDSHAKE.values())),gently=chance.random()<.5)
        return Cut(way=chance.choice(["up","down"]),gently=chance.random()<.5, after=500+int(chance.expovariate(1 / MEAN)))

    page = open_python(install=False)
    with Exchange(SIZE) as peer, Relay(behind.address, (cut() for _ in range(CUTS)), rate=float(os.environ.get("RATE","1e7"))) as relay:
        start=time.time()
        import threading
        stop=threading.Event()
        def show():
            while not stop.wait(5): print(round(time.time()-start), relay.accepted, relay.cuts, flush=True)
        threading.Thread(target=show).start()
        try:
            results, held, reconnects, carrier = page.run(
            SOURCE,
            timeout=280,
            url=f"ws://127.0.0.1:{relay.port}/pynet",
            token=behind.token,
            peer=peer.address,
            size=SIZE,
            sockets=SOCKETS,
        )
        finally: stop.set()
        print(time.time()-start, held, reconnects, carrier, relay.accepted, relay.cuts)
        page.close()
    assert results == [
        [hashlib.sha256(pattern(SIZE, number * SIZE)).hexdigest() for number in (each, SOCKETS + each)]
        for each in range(SOCKETS)
    ]
