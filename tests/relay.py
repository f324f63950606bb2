"""A TCP relay between page and proxy that does what networks do: cuts connections, freezes, delays them."""

from __future__ import annotations

import asyncio
import functools
import math
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Self

from tests.cuts import Cut, Meter, Way

CHUNK = 256 * 1024
PACED_CHUNK = 16 * 1024
DELAYED_CHUNKS = 256
"""What a direction with a latency holds at most: more than loopback moves in any latency used."""

FIN_TIMEOUT = 2.0
"""Seconds that both ends have to answer a FIN, before they are reset."""

PATIENCE = 30.0
"""Seconds in which what a test waits for must have happened."""


class Relay:
    """Passes bytes on between those who connect to it and ``target``, until it is told otherwise.

    It runs in a thread of its own; its methods may be called from any other, and what they say is done when
    they return. Use it with ``with``.

    Attributes:
        host: the address it listens on.
        port: its port.
        accepted: how many connections it has taken.
        cuts: how many of them it has cut.
        refused: how many it has cut at once, while it let nobody in.
        up: how many bytes it has passed on to its target.
    """

    def __init__(
        self,
        target: tuple[str, int],
        cuts: Iterable[Cut | None] = (),
        *,
        latency: float = 0.0,
        rate: float = math.inf,
    ) -> None:
        """Listens at once.

        Args:
            target: where it connects to.
            cuts: one for each connection in turn; when they end, connections are left alone.
            latency: seconds that bytes take in each direction. It is a delay, and takes no throughput.
            rate: bytes per second of a connection in each direction.
        """
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.setblocking(False)
        self.host: str
        self.port: int
        self.host, self.port = self._listener.getsockname()
        self.accepted = self.cuts = self.refused = self.up = 0
        self._target = target
        self._cuts = iter(cuts)
        self._new_line = functools.partial(_Line, latency, rate)
        self._admits = True
        self._frozen = False
        self._changed = threading.Condition()
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._run()])

    @property
    def address(self) -> tuple[str, int]:
        """What ``connect`` wants."""
        return self.host, self.port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    # ── What a test tells it ───────────────────────────────────────────────────────────────────────

    def cut(self, *, gently: bool = False) -> None:
        """Cuts the connections that there are: with RST, or ``gently`` with FIN, as a load balancer does."""
        self._do(self._cut(gently))

    def freeze(self, *, newcomers: bool = False) -> None:
        """Lets the connections that there are pass nothing on any more, and closes nothing.

        With ``newcomers`` those that come later are frozen too.
        """
        self._do(self._freeze(newcomers))

    def thaw(self) -> None:
        """Lets all connections go on; what came meanwhile is passed on now."""
        self._do(self._thaw())

    def refuse(self) -> None:
        """Cuts connections that come from now on, at once."""
        self._admits = False

    def admit(self) -> None:
        """Lets connections in again."""
        self._admits = True

    def redirect(self, target: tuple[str, int]) -> None:
        """Connections that come from now on go to ``target``; those that there are stay where they are."""
        self._target = target

    def wait_for(self, condition: Callable[[Self], bool], timeout: float = PATIENCE) -> None:
        """Waits until a condition on the relay's counts holds.

        Raises:
            TimeoutError: It does not come to be in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), timeout):
                raise TimeoutError(f"{self.accepted} accepted, {self.cuts} cut, {self.refused} refused")

    def _do(self, action: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(action, self._loop).result(PATIENCE)

    # ── In its thread ──────────────────────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        self._loop.add_reader(self._listener, self._accept)
        await self._stop.wait()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        await self._cut(gently=False)

    def _accept(self) -> None:
        end, _ = self._listener.accept()
        if not self._admits:
            _reset(end)
            self._count(refused=1)
            return
        end.setblocking(False)
        connection = _Connection(end, Meter(next(self._cuts, None)), self._new_line, self._count_up)
        if self._frozen:
            connection.flowing.clear()
        self._connections.add(connection)
        connection.task = self._loop.create_task(self._relay(connection))
        self._count(accepted=1)

    async def _relay(self, connection: _Connection) -> None:
        was_cut = await connection.run(self._target)
        self._connections.discard(connection)
        self._count(cuts=int(was_cut and not self._stop.is_set()))

    def _count(self, *, accepted: int = 0, cuts: int = 0, refused: int = 0, up: int = 0) -> None:
        with self._changed:
            self.accepted += accepted
            self.cuts += cuts
            self.refused += refused
            self.up += up
            self._changed.notify_all()

    def _count_up(self, size: int) -> None:
        self._count(up=size)

    async def _cut(self, gently: bool) -> None:
        connections = list(self._connections)
        for connection in connections:
            connection.cut(gently)
        await asyncio.gather(*(connection.task for connection in connections))

    async def _freeze(self, newcomers: bool) -> None:
        self._frozen = newcomers
        for connection in self._connections:
            connection.flowing.clear()

    async def _thaw(self) -> None:
        self._frozen = False
        for connection in self._connections:
            connection.flowing.set()


class _Connection:
    """One connection through the relay."""

    task: asyncio.Task[None]

    def __init__(
        self,
        end: socket.socket,
        meter: Meter,
        new_line: Callable[[], _Line],
        passed_up: Callable[[int], None],
    ) -> None:
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._ends = [end]
        self._meter = meter
        self._new_line = new_line
        self._passed_up = passed_up
        self._was_cut = self._gently = False
        self._running: asyncio.Task[None] | None = None

    def cut(self, gently: bool) -> None:
        self._was_cut, self._gently = True, gently
        if self._running:
            self._running.cancel()

    async def run(self, target: tuple[str, int]) -> bool:
        """Passes bytes on until both ends have finished or one has failed; true if it was cut before."""
        self._running = asyncio.create_task(self._pass_all(target))
        if self._was_cut:
            self._running.cancel()
        await asyncio.wait([self._running])
        if self._was_cut and self._gently:
            await self._finish()
        finished = not self._running.cancelled() and self._running.exception() is None
        for end in self._ends:
            end.close() if finished or self._gently else _reset(end)
        return self._was_cut

    async def _pass_all(self, target: tuple[str, int]) -> None:
        onward = socket.socket()
        self._ends.append(onward)
        onward.setblocking(False)
        await asyncio.get_running_loop().sock_connect(onward, target)
        for end in self._ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        page, proxy = self._ends
        async with asyncio.TaskGroup() as group:
            up, down = self._new_line(), self._new_line()
            group.create_task(up.fill(page))
            group.create_task(self._pass("up", up, proxy))
            group.create_task(down.fill(proxy))
            group.create_task(self._pass("down", down, page))

    async def _pass(self, way: Way, line: _Line, sink: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while data := await line.take():
            await self.flowing.wait()
            allowed = self._meter.allowed(way, data)
            await loop.sock_sendall(sink, data[:allowed])
            if way == "up":
                self._passed_up(allowed)
            if allowed < len(data):
                self.cut(self._meter.gently)
                return
        await self.flowing.wait()
        sink.shutdown(socket.SHUT_WR)

    async def _finish(self) -> None:
        """Closes both ends as who has no more to say: a FIN each, and what they still send is read away."""
        loop = asyncio.get_running_loop()

        async def finish(end: socket.socket) -> None:
            end.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(end, CHUNK):
                pass

        with suppress(TimeoutError):
            async with asyncio.timeout(FIN_TIMEOUT):
                await asyncio.gather(*map(finish, self._ends), return_exceptions=True)


class _Line:
    """What is under way in one direction."""

    def __init__(self, latency: float, rate: float) -> None:
        self._latency, self._rate = latency, rate
        self._free = 0.0  # when all that was taken in has left
        self._pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(DELAYED_CHUNKS if latency else 1)

    async def fill(self, source: socket.socket) -> None:
        """Takes in what a connection receives, until its end."""
        loop = asyncio.get_running_loop()
        data = b"?"
        while data:
            data = await loop.sock_recv(source, CHUNK if self._rate == math.inf else PACED_CHUNK)
            self._free = max(self._free, loop.time()) + len(data) / self._rate
            await self._pieces.put((self._free + self._latency, data))

    async def take(self) -> bytes:
        """The next piece, when it has arrived; nothing at the end."""
        due, data = await self._pieces.get()
        if (left := due - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)
        return data


def _reset(end: socket.socket) -> None:
    """Closes with RST, which a linger time of zero asks for."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
