"""Waiting for one socket, as the C methods of ``socket.socket`` do."""

from __future__ import annotations

import select
import socket

from pynet_browser.stdlib.failures import failure

__all__ = ["patience", "wait_for"]


def wait_for(sock: socket.socket, events: int, timeout: float | None) -> None:
    """Wait until ``sock`` is ready for any of these events of ``poll``.

    Args:
        sock: the socket.
        events: ``select.POLLIN``, ``select.POLLOUT``.
        timeout: seconds; None waits without end, 0 not at all.

    Raises:
        OSError: EBADF for one that is closed.
        BlockingIOError: it is not ready, and the timeout is 0.
        TimeoutError: it was not ready in time.
    """
    if sock.fileno() < 0:
        raise failure("EBADF")
    poller = select.poll()
    poller.register(sock, events)
    if poller.poll(None if timeout is None else max(0.0, timeout) * 1000):
        return
    if timeout == 0:
        raise failure("EAGAIN")
    raise TimeoutError("timed out")


def patience(sock: socket.socket, flags: int) -> float | None:
    """How long a call with these flags may wait. CPython waits by the timeout first, whatever they say."""
    timeout = sock.gettimeout()
    return 0.0 if timeout is None and flags & socket.MSG_DONTWAIT else timeout
