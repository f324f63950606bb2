"""Programs of a page that exchange bytes with `tests.peers.Exchange` on many sockets at once.

Each is source code that wants ``peer`` (its address), ``sockets`` (how many), ``size`` (bytes each sends
and reads, a multiple of 4) and ``ahead`` (bytes that may be sent beyond as many as were read). Its value is a
dictionary: ``digests``, of what each socket has read and of what its peer has, and ``held``, the most bytes
that waited in the page.
"""

from __future__ import annotations

import hashlib

from tests.peers import pattern

__all__ = ["SELECTING", "WAITING", "digests"]

COMMON = """
import hashlib, socket
from array import array
import pynet_browser

PIECE = min(100_000, ahead)
held = 0

def sample():
    global held
    held = max(held, pynet_browser.status().buffered)

def pattern(start, stop):
    return array("I", range(start // 4, stop // 4)).tobytes()

class Progress:
    def __init__(self, number):
        self.number, self.sent, self.read = number, 0, 0
        self.digest, self.answer = hashlib.sha256(), b""

    @property
    def may_send(self):
        return self.sent < min(size, self.read + ahead & ~3)

    def piece(self):
        # What may be sent next; none if the peer must send first, or when all was sent.
        stop = max(self.sent, min(size, self.sent + PIECE, self.read + ahead & ~3))
        start, self.sent = self.sent, stop
        offset = (sockets + self.number) * size
        return pattern(offset + start, offset + stop)

    def took(self, data):
        own = data[: size - self.read]
        self.read += len(own)
        self.digest.update(own)
        self.answer += data[len(own):]

    def result(self):
        assert self.read == size, (self.number, self.read)
        return [self.digest.hexdigest(), self.answer.decode()]
"""

WAITING = (
    COMMON
    + """
import asyncio

class Calls:
    # Blocking calls, each in a task that they suspend.
    async def open(self):
        self.socket = socket.create_connection(tuple(peer), 100)

    async def send(self, data):
        self.socket.sendall(data)
        await asyncio.sleep(0)

    async def finish(self):
        self.socket.shutdown(socket.SHUT_WR)

    async def read(self):
        await asyncio.sleep(0)
        return self.socket.recv(PIECE)

    async def close(self):
        self.socket.close()

class Streams:
    async def open(self):
        self.reader, self.writer = await asyncio.open_connection(*peer)

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def finish(self):
        self.writer.write_eof()

    async def read(self):
        return await self.reader.read(PIECE)

    async def close(self):
        self.writer.close()
        await self.writer.wait_closed()

async def exchange(number):
    progress, connection, has_read = Progress(number), (Calls, Streams)[number % 2](), asyncio.Event()

    async def send():
        while progress.sent < size:
            has_read.clear()
            if piece := progress.piece():
                await connection.send(piece)
                sample()
            else:
                await has_read.wait()
        await connection.finish()

    await connection.open()
    await connection.send(number.to_bytes(4, "little"))
    sending = asyncio.create_task(send())
    while data := await connection.read():
        progress.took(data)
        has_read.set()
        sample()
    await sending
    await connection.close()
    return progress.result()

results = await asyncio.gather(*map(exchange, range(sockets)))
{"digests": results, "held": held}
"""
)

SELECTING = (
    COMMON
    + """
import selectors

class Talk:
    def __init__(self, number):
        self.progress, self.unsent, self.finished = Progress(number), b"", False
        self.socket = socket.create_connection(tuple(peer), 100)
        self.socket.sendall(number.to_bytes(4, "little"))
        self.socket.setblocking(False)

    @property
    def events(self):
        progress = self.progress
        can_write = self.unsent or progress.may_send or (progress.sent == size and not self.finished)
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if can_write else 0)

    def write(self):
        self.unsent = self.unsent or self.progress.piece()
        if self.unsent:
            self.unsent = self.unsent[self.socket.send(self.unsent):]
        elif self.progress.sent == size:
            self.socket.shutdown(socket.SHUT_WR)
            self.finished = True

    def read(self):
        data = self.socket.recv(PIECE)
        self.progress.took(data)
        return bool(data)

selector = selectors.DefaultSelector()
talks = [Talk(number) for number in range(sockets)]
for talk in talks:
    selector.register(talk.socket, talk.events, talk)
while selector.get_map():
    ready = selector.select(100)
    assert ready, "nothing moves any more"
    for key, events in ready:
        talk = key.data
        if events & selectors.EVENT_WRITE:
            talk.write()
        if events & selectors.EVENT_READ and not talk.read():
            selector.unregister(talk.socket)
            talk.socket.close()
        elif talk.events != key.events:
            selector.modify(talk.socket, talk.events, talk)
    sample()
{"digests": [talk.progress.result() for talk in talks], "held": held}
"""
)


def digests(sockets: int, size: int) -> list[list[str]]:
    """What the programs find if no byte was lost, repeated or changed."""
    numbers = range(2 * sockets)
    streams = [hashlib.sha256(pattern(size, number * size)).hexdigest() for number in numbers]
    return [[streams[number], streams[sockets + number]] for number in range(sockets)]
