"""Accepts connections, and has each be where its first request belongs."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Sequence

from pynet_browser.proxy.workers.placement import HEAD_MAX, key_of, target_in

__all__ = ["Placer"]

PATIENCE = 3.0
"""Seconds that the first line of a connection may take. Then any worker gets it, which can put that right."""

LOOK_AGAIN = 0.05
"""Seconds between looks at a line that came in part: what was looked at stays readable all the while."""

WAITING_MAX = 256
"""Connections that wait for their first line; for one more the oldest goes to any worker."""

AT_ONCE = 64
"""Connections accepted before others get their turn."""

EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
PAUSE = 1.0
"""Seconds without accepting when the system has no more to give."""

log = logging.getLogger(__name__)


class Placer:
    """Does so on the running event loop, from ``start`` to ``close``.

    Args:
        listeners: where connections come from; they are closed at the end.
        place: gets each connection, and the key that its first request has, if any.
    """

    def __init__(
        self, listeners: Sequence[socket.socket], place: Callable[[socket.socket, str | None], None]
    ) -> None:
        self._listeners = listeners
        self._place = place
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[socket.socket, float] = {}  # with the time at which it has waited long enough
        self._timers: dict[socket.socket, asyncio.TimerHandle] = {}
        self._paused: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accept."""
        self._paused = None
        for listener in self._listeners:
            listener.setblocking(False)
            self._loop.add_reader(listener, self._accept, listener)

    def close(self) -> None:
        """Accept no more, and drop whoever waits."""
        if self._paused:
            self._paused.cancel()
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        for connection in [*self._waiting]:
            self._let_go(connection)
            connection.close()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                log.error("no connection can be accepted for %g s: %s", PAUSE, error)
                for each in self._listeners:
                    self._loop.remove_reader(each)
                self._paused = self._loop.call_later(PAUSE, self.start)
                return
            connection.setblocking(False)
            if len(self._waiting) >= WAITING_MAX:
                self._place_anywhere(next(iter(self._waiting)))
            self._waiting[connection] = self._loop.time() + PATIENCE
            self._look(connection)

    def _look(self, connection: socket.socket) -> None:
        self._stop_watching(connection)
        try:
            head = connection.recv(HEAD_MAX, socket.MSG_PEEK)
        except BlockingIOError:
            self._loop.add_reader(connection, self._look, connection)
            self._timers[connection] = self._loop.call_at(
                self._waiting[connection], self._place_anywhere, connection
            )
            return
        except OSError:
            head = b""
        if not head:
            self._let_go(connection)
            connection.close()
            return
        target = target_in(head)
        late = self._loop.time() >= self._waiting[connection] or len(head) >= HEAD_MAX
        if target is None and not late:
            self._timers[connection] = self._loop.call_later(LOOK_AGAIN, self._look, connection)
            return
        self._let_go(connection)
        self._place(connection, key_of(target or ""))

    def _place_anywhere(self, connection: socket.socket) -> None:
        self._let_go(connection)
        self._place(connection, None)

    def _let_go(self, connection: socket.socket) -> None:
        self._stop_watching(connection)
        del self._waiting[connection]

    def _stop_watching(self, connection: socket.socket) -> None:
        self._loop.remove_reader(connection)
        if timer := self._timers.pop(connection, None):
            timer.cancel()
