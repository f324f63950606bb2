"""A worker: a process that serves the connections which its parent accepts and hands to it."""

from __future__ import annotations

import asyncio
import logging
import pickle
import shutil
import socket
import sys

from aiohttp import web

from pynet_browser.proxy import logs
from pynet_browser.proxy.allocator import collect_seldom, keep_freed_memory
from pynet_browser.proxy.app import POLICY, SESSIONS, create_app
from pynet_browser.proxy.config import Config
from pynet_browser.proxy.process import SHUTDOWN_TIMEOUT, Stopping, drain, loop_factory
from pynet_browser.proxy.reloading import reload_on_hangup
from pynet_browser.proxy.workers.neighbours import Neighbours
from pynet_browser.proxy.workers.order import Order

__all__ = ["READY"]

READY = b"r"
"""What a worker says to its parent, once, when it can serve."""

AT_ONCE = 64
"""Connections taken before others get their turn."""

log = logging.getLogger(__name__)


class Deliveries:
    """Takes connections from the parent, and tells when that is gone."""

    def __init__(self, channel: socket.socket, server: web.Server, stopping: Stopping) -> None:
        self._channel = channel
        self._server = server
        self._stopping = stopping
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[None]] = set()
        self.orphaned = False
        channel.setblocking(False)
        self._loop.add_reader(channel, self._take)

    def close(self) -> None:
        """Take no more."""
        self._loop.remove_reader(self._channel)

    def _take(self) -> None:
        for _ in range(AT_ONCE):
            try:
                data, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
            except BlockingIOError:
                return
            except ConnectionError:
                data, descriptors = b"", []
            if not data:
                self.orphaned = True
                self.close()
                self._stopping.stop.set()
                self._stopping.hurry.set()
                return
            for descriptor in descriptors:  # none where this process may have no more of them
                task = self._loop.create_task(self._begin(socket.socket(fileno=descriptor)))
                self._beginning.add(task)
                task.add_done_callback(self._beginning.discard)

    async def _begin(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(self._server, connection)
        except OSError as error:
            log.info("a connection was gone before it was served: %s", error)
            connection.close()


async def serve(order: Order, channel: socket.socket) -> None:
    """Serve until told to stop, or until the parent is gone."""
    stopping = Stopping()
    whole = order.config
    config = whole.share()
    largest = max(config.limits.message_bytes, config.limits.posix_message_bytes) + 1024
    neighbours = Neighbours(order.number, config.workers, order.directory, largest)
    app = create_app(config, first=[neighbours.relay], services=order.services)
    app[POLICY].add_built_in(deny=order.own)
    app.on_cleanup.append(neighbours.close)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
    await runner.setup()
    path = neighbours.path_of(order.number)
    path.unlink(missing_ok=True)  # of the one whose place this takes
    deliveries = None
    try:
        await web.UnixSite(runner, str(path)).start()
        collect_seldom()
        if (load := order.load) is not None:

            def read_anew() -> Config:
                return load().share()

            reload_on_hangup(app[SESSIONS].tenants, read_anew)
        assert runner.server
        deliveries = Deliveries(channel, runner.server, stopping)
        channel.send(READY)
        await stopping.stop.wait()
        await drain(app[SESSIONS], 0 if deliveries.orphaned else config.drain, stopping.hurry)
    finally:
        if deliveries is not None:
            deliveries.close()
        await runner.cleanup()
        if deliveries is not None and deliveries.orphaned:
            shutil.rmtree(order.directory, ignore_errors=True)


def main() -> None:
    """Serve as standard input says, with the channel whose descriptor is the argument."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    order = pickle.load(sys.stdin.buffer)  # only the parent writes there
    assert isinstance(order, Order)
    logs.configure(order.log_format, verbose=order.verbose)
    keep_freed_memory()
    with channel, asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(order, channel))


if __name__ == "__main__":
    main()
