"""Many clients of one server, in a process of their own, which does what it is told by lines of JSON.

``python -m bench.crowd KIND URL ECHO SOURCE SINK`` reads ``{"do": NAME, ...}`` and answers with one line
each, ``{"failures": [...], ...}``: what went wrong and what the task measured.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from bench.fast_loop import loop_factory
from bench.tunnels import KINDS, Stream, Tunnel, exactly
from tests.peers import pattern

AT_ONCE = 64
"""Clients or streams that are opened at the same time: what any server's backlog takes."""

SMALL = 32
BULK_PIECE = 256 * 1024
SLOW_SIZE = 64 << 20
SLOW_PIECES_PER_SECOND = 1
BULK_TIMEOUT = 60.0
POOL = pattern(4 << 20)
"""What is sent and compared is cut from here: to make it anew would cost more than to send it."""

TOLD = 20
"""Failures that are told in words."""


class Crowd:
    """All clients.

    Args:
        kind: of tunnel.
        url: of the server.
        ports: of the services.
    """

    def __init__(self, kind: str, url: str, ports: dict[str, int]) -> None:
        self._tunnel = KINDS[kind]
        self._url = url
        self._ports = ports
        self._idle: list[Tunnel] = []
        self._active: list[Tunnel] = []
        self._streams: list[list[Stream]] = []
        self._slow: list[asyncio.Task[int]] = []
        self._failures: list[str] = []
        self._failed = 0

    async def do(self, what: str, **options: Any) -> dict[str, Any]:
        """One task; returns what it has measured, and what went wrong since the last."""
        tasks: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
            "idle": self.idle,
            "sockets": self.sockets,
            "load": self.load,
            "small": self.small,
            "bulk": self.bulk,
            "leave": self.leave,
        }
        found = await tasks[what](**options)
        failures, self._failures = self._failures, []
        failed, self._failed = self._failed, 0
        return found | {"failed": failed, "failures": failures}

    def failure(self, error: BaseException) -> None:
        self._failed += 1
        if len(self._failures) < TOLD:
            self._failures.append(f"{type(error).__name__}: {error}")

    async def each(self, tasks: Iterable[Awaitable[Any]], at_once: int) -> list[Any]:
        """What the tasks return, those that failed left out; so many at a time."""
        turn, found = asyncio.Semaphore(at_once), []

        async def one(task: Awaitable[Any]) -> None:
            async with turn:
                try:
                    found.append(await task)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                    self.failure(error)

        await asyncio.gather(*map(one, tasks))
        return found

    async def idle(self, count: int) -> dict[str, Any]:
        """So many clients more that do nothing."""
        self._idle += await self.each((self._opened() for _ in range(count)), AT_ONCE)
        return {"count": len(self._idle)}

    async def _opened(self) -> Tunnel:
        return await self._tunnel(self._url, self._ports["echo"]).open()

    async def sockets(self, clients: int, count: int) -> dict[str, Any]:
        """So many streams, shared by so many clients; each has echoed a few bytes."""
        self._active = await self.each((self._opened() for _ in range(clients)), AT_ONCE)
        self._streams = [[] for _ in self._active]
        owners = [at % len(self._active) for at in range(count)]
        await self.each((self._connected(owner, at) for at, owner in enumerate(owners)), AT_ONCE)
        return {"count": sum(map(len, self._streams))}

    async def _connected(self, owner: int, at: int) -> None:
        stream = await self._active[owner].connect(self._ports["echo"])
        await echo(stream, pattern(SMALL, at * SMALL))
        self._streams[owner].append(stream)

    async def load(self, seconds: float, rate: float, bulk: float, slow: int) -> dict[str, Any]:
        """What a busy day has: each client echoes small messages, some much data, and some do not read.

        Args:
            seconds: how long.
            rate: small messages a second, of all clients.
            bulk: megabytes a second that are echoed, by a tenth of the clients.
            slow: clients that ask for much and hardly read it.
        """
        deadline = time.monotonic() + seconds
        self._slow = [asyncio.create_task(self._read_slowly(deadline)) for _ in range(slow)]
        talkers = [streams for streams in self._streams if len(streams) > 1]
        bulky = talkers[:: max(1, len(talkers) // max(1, len(talkers) // 10))] if bulk else []
        pause = len(talkers) / rate
        tasks = [
            self._talk(streams[1:], random.Random(at), pause, deadline) for at, streams in enumerate(talkers)
        ]
        if bulky:
            pause = BULK_PIECE / (bulk * 1e6 / len(bulky))
            tasks += [
                self._pour(streams[0], pause, at / len(bulky), deadline) for at, streams in enumerate(bulky)
            ]
        counts = await self.each(tasks, len(tasks))
        read = await self.each(self._slow, slow or 1)
        return {
            "messages": sum(count for kind, count in counts if kind == "messages"),
            "bulk": sum(count for kind, count in counts if kind == "bytes"),
            "slow": sum(read),
        }

    async def _talk(
        self, streams: Sequence[Stream], chance: random.Random, pause: float, deadline: float
    ) -> tuple[str, int]:
        count = 0
        await asyncio.sleep(chance.random() * pause)
        while time.monotonic() < deadline:
            await echo(chance.choice(streams), chance.randbytes(SMALL))
            count += 1
            await asyncio.sleep(chance.expovariate(1 / pause))
        return "messages", count

    async def _pour(self, stream: Stream, pause: float, phase: float, deadline: float) -> tuple[str, int]:
        count = 0
        due = time.monotonic() + phase * pause  # not all at once
        while due < deadline:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            at = count % (len(POOL) - BULK_PIECE)
            await echo(stream, POOL[at : at + BULK_PIECE])
            count += BULK_PIECE
            due += pause
        return "bytes", count

    async def _read_slowly(self, deadline: float) -> int:
        tunnel = await self._opened()
        try:
            stream = await tunnel.connect(self._ports["source"])
            await stream.send(SLOW_SIZE.to_bytes(8))
            count = 0
            while time.monotonic() < deadline:
                count += len(await stream.recv())
                await asyncio.sleep(1 / SLOW_PIECES_PER_SECOND)
            return count
        finally:
            await tunnel.close()

    async def small(self, count: int) -> dict[str, Any]:
        """So many small echoes in all, a hundred clients at a time."""
        streams = [each[0] for each in self._streams if each][:100]
        share = count // len(streams)
        start = time.perf_counter()

        async def talk(stream: Stream, number: int) -> int:
            for at in range(share):
                await echo(stream, pattern(SMALL, (number * share + at) * SMALL))
            return share

        done = await self.each((talk(stream, number) for number, stream in enumerate(streams)), len(streams))
        return {"messages": sum(done), "seconds": time.perf_counter() - start}

    async def bulk(self, way: str, size: int, clients: int) -> dict[str, Any]:
        """So many bytes in all, ``down`` from the source or ``up`` to the sink, by so many at once."""
        move = self._down if way == "down" else self._up
        start = time.perf_counter()
        async with asyncio.timeout(BULK_TIMEOUT):
            moved = await self.each((move(size // clients) for _ in range(clients)), clients)
        return {"bytes": sum(moved), "seconds": time.perf_counter() - start}

    async def _down(self, size: int) -> int:
        tunnel = await self._opened()
        try:
            stream = await tunnel.connect(self._ports["source"])
            await stream.send(size.to_bytes(8))
            have = 0
            while have < size:
                piece = await stream.recv()
                assert piece, f"the source ended after {have} of {size} bytes"
                have += len(piece)
            assert have == size, f"{have} bytes from a source of {size}"
            return size
        finally:
            await tunnel.close()

    async def _up(self, size: int) -> int:
        tunnel = await self._opened()
        try:
            stream = await tunnel.connect(self._ports["sink"])
            await stream.send(size.to_bytes(8))
            piece = bytes(BULK_PIECE)
            for at in range(0, size, BULK_PIECE):
                await stream.send(piece[: size - at])
            assert await exactly(stream, 1) == b"!", "the sink has not confirmed"
            return size
        finally:
            await tunnel.close()

    async def leave(self) -> dict[str, Any]:
        """All go."""
        await self.each((tunnel.close() for tunnel in self._active + self._idle), AT_ONCE)
        return {}


async def echo(stream: Stream, data: bytes) -> None:
    """Send bytes and see that they come back.

    Raises:
        AssertionError: others have come.
    """
    sending = asyncio.create_task(stream.send(data)) if len(data) > SMALL else None
    if sending is None:
        await stream.send(data)
    try:
        assert await exactly(stream, len(data)) == data, "other bytes have come back than were sent"
    finally:
        if sending:
            await sending


async def main() -> None:
    kind, url, *ports = sys.argv[1:]
    names = ("echo", "source", "sink")
    crowd = Crowd(kind, url, {name: int(port) for name, port in zip(names, ports, strict=True)})
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        print(json.dumps(await crowd.do(order.pop("do"), **order)), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main())
