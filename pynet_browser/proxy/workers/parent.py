"""The process that listens: it hands connections to workers, and replaces those that end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
import os
import pickle
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pynet_browser
from pynet_browser.proxy.config import Config, ConfigError
from pynet_browser.proxy.process import StartError, Stopping
from pynet_browser.proxy.workers.order import Order
from pynet_browser.proxy.workers.placement import worker_of
from pynet_browser.proxy.workers.placer import Placer

__all__ = ["Parent"]

MODULE = "pynet_browser.proxy.workers.worker"

QUEUE_MAX = 256
"""Connections that wait for one worker; for one more the oldest is cut."""

TRY_AGAIN = 0.02
"""Seconds until a worker is offered again what it could not take."""

RESTART_FIRST = 0.1
RESTART_MAX = 30.0
"""Seconds until one that has ended is replaced: twice as long each time, unless it was ``LASTING``."""

LASTING = 60.0
"""Seconds that a worker has to serve to be one that does."""

STOP_MAX = 10.0
"""Seconds beyond those of draining that a worker may take to end."""

log = logging.getLogger(__name__)


class Worker:
    """One process after another in one place.

    Attributes:
        ready: set while it serves.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.ready = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._process: asyncio.subprocess.Process | None = None
        self._channel: socket.socket | None = None
        self._queue: deque[socket.socket] = deque()
        self._retry: asyncio.TimerHandle | None = None
        self._hung_up = False

    async def run(self, order: Order) -> int:
        """Have a process serve; returns its status when it has ended."""
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            with theirs:
                self._process = process = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", *(f"-W{each}" for each in sys.warnoptions),
                    "-m", MODULE, str(theirs.fileno()),
                    stdin=asyncio.subprocess.PIPE, pass_fds=[theirs.fileno()], env=_environment(),
                    start_new_session=True,  # a terminal's signals come by way of this process
                )  # fmt: skip
            self._hung_up = False
            try:
                await self._brief(process, order)
                with contextlib.suppress(ConnectionError):
                    if await self._loop.sock_recv(ours, 1):
                        self._channel = ours
                        self.ready.set()
                        if self._hung_up:
                            self.send_signal(signal.SIGHUP)
                        self._hand_over()
                return await process.wait()
            finally:
                self.ready.clear()
                self._channel = self._process = None
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    async def _brief(self, process: asyncio.subprocess.Process, order: Order) -> None:
        assert process.stdin
        with contextlib.suppress(ConnectionError):
            process.stdin.write(pickle.dumps(replace(order, number=self.number)))
            await process.stdin.drain()
            process.stdin.close()
            await process.stdin.wait_closed()

    def send_signal(self, number: int) -> None:
        """Tell the process, if there is one; of a hangup not before it heeds them."""
        if number == signal.SIGHUP and not self.ready.is_set():
            self._hung_up = True
        elif self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def give(self, connection: socket.socket) -> None:
        """Have it serve a connection, as soon as it can."""
        if len(self._queue) >= QUEUE_MAX:
            self._queue.popleft().close()
        self._queue.append(connection)
        self._hand_over()

    def close(self) -> None:
        """Cut what it was not given."""
        if self._retry:
            self._retry.cancel()
        while self._queue:
            self._queue.popleft().close()

    def _hand_over(self) -> None:
        while self._queue and self._channel is not None:
            try:
                socket.send_fds(self._channel, [b"c"], [self._queue[0].fileno()])
            except OSError:  # it has not taken enough of those before, or is about to end
                if self._retry is None:
                    self._retry = self._loop.call_later(TRY_AGAIN, self._hand_over_again)
                return
            self._queue.popleft().close()

    def _hand_over_again(self) -> None:
        self._retry = None
        self._hand_over()


class Parent:
    """Runs workers; to be made where the event loop runs.

    Args:
        listeners: where pages connect.
        order: what workers are told, but for their numbers.
    """

    def __init__(self, listeners: Sequence[socket.socket], order: Order) -> None:
        self._order = order
        self._stopping = Stopping(self._pass_on_stop)
        self._workers = [Worker(number) for number in range(order.config.workers)]
        self._turns = itertools.count()
        self._placer = Placer(listeners, self._place)

    async def run(self, announce: Callable[[], None]) -> None:
        """Serve until told to stop; then return when all workers have ended.

        Args:
            announce: called when pages can connect.

        Raises:
            StartError: a worker cannot start.
        """
        keepers = [asyncio.create_task(self._keep(worker)) for worker in self._workers]
        try:
            ready = asyncio.gather(*(worker.ready.wait() for worker in self._workers))
            stopped = asyncio.create_task(self._stopping.stop.wait())
            first: list[asyncio.Future[Any]] = [ready, stopped, *keepers]
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                self._heed_hangups()
                self._placer.start()
                announce()
            else:
                ready.cancel()
            await asyncio.wait([stopped, *keepers], return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            await asyncio.wait(keepers, timeout=self._order.config.drain + STOP_MAX)
        finally:
            self._placer.close()
            for keeper in keepers:
                keeper.cancel()
            results = await asyncio.gather(*keepers, return_exceptions=True)
            for worker in self._workers:
                worker.close()
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _keep(self, worker: Worker) -> None:
        """Have a worker serve in this place, until all stop."""
        loop = asyncio.get_running_loop()
        pause = RESTART_FIRST
        served = False
        while not self._stopping.stop.is_set():
            start = loop.time()
            started = asyncio.create_task(worker.ready.wait())
            try:
                status = await worker.run(self._order)
                served = served or started.done()
            finally:
                started.cancel()
            if self._stopping.stop.is_set():
                return
            if not served:
                raise StartError(f"worker {worker.number} ended with status {status} before it could serve")
            pause = RESTART_FIRST if loop.time() - start >= LASTING else min(2 * pause, RESTART_MAX)
            log.error(
                "worker %d ended with status %d, and its sessions with it; another takes its place in %g s",
                worker.number, status, pause,
            )  # fmt: skip
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.stop.wait()

    def _place(self, connection: socket.socket, key: str | None) -> None:
        if key is not None:
            worker = self._workers[worker_of(key, len(self._workers))]
        else:
            ready = [worker for worker in self._workers if worker.ready.is_set()] or self._workers
            worker = ready[next(self._turns) % len(ready)]
        worker.give(connection)

    def _pass_on_stop(self) -> None:
        for worker in self._workers:
            worker.send_signal(signal.SIGTERM)

    def _heed_hangups(self) -> None:
        if self._order.load is not None:
            asyncio.get_running_loop().add_signal_handler(
                signal.SIGHUP, functools.partial(self._read_anew, self._order.load)
            )

    def _read_anew(self, load: Callable[[], Config]) -> None:
        """Have all workers do so, those that start later too."""
        try:
            config = load()
        except ConfigError as error:
            log.error("tokens and rules stay as they were: %s", error)
            return
        self._order = replace(self._order, config=replace(config, port=self._order.config.port))
        for worker in self._workers:
            worker.send_signal(signal.SIGHUP)


def _environment() -> dict[str, str]:
    """That of a process which finds this package where this one has."""
    root = str(Path(pynet_browser.__file__).parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
